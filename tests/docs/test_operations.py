"""What the program has, the documentation names; what the documentation names, the program has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer

from schemas.labels import LABELS
from stream import cli
from stream.metrics import REGISTRY
from stream.settings import PREFIX, Settings

ROOT = Path(__file__).parent.parent.parent
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


def _commands(group: Any, before: str = "flagstream") -> Iterator[str]:
    for name, command in getattr(group, "commands", {}).items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{before} {name}")
        else:
            yield f"{before} {name}"


def test_every_command_is_documented_and_every_documented_one_is_there() -> None:
    there = set(_commands(typer.main.get_command(cli.app)))
    table = OPERATIONS.split("## Commands")[1]
    assert set(re.findall(r"`(flagstream [a-z-]+(?: [a-z]+)?)`", table)) == there


def test_every_setting_is_documented_and_every_documented_one_is_there() -> None:
    assert set(re.findall(rf"`({PREFIX}[A-Z_]+)` \|", OPERATIONS)) == {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_setting_means_what_its_row_says(name: str) -> None:
    (meaning,) = re.findall(rf"^\| `{PREFIX}{name.upper()}` \| [^|]*\| (.+) \|$", OPERATIONS, flags=re.MULTILINE)
    field = Settings.model_fields[name]
    choices = [f"`{choice}`" for choice in get_args(field.annotation) if isinstance(choice, str)]
    listed = f": {', '.join(choices[:-1])} or {choices[-1]}" if choices else ""
    assert meaning.removesuffix(listed) == field.description


def test_every_metric_is_documented_and_every_documented_one_is_there() -> None:
    assert set(re.findall(r"\| `(flagstream_[a-z_]+)` \|", OPERATIONS)) == {metric.name for metric in REGISTRY.collect()}


def test_every_label_is_documented_with_its_definition() -> None:
    for label in LABELS:
        assert f"| `{label.name}` | {label.severity} | {label.definition} |" in OPERATIONS


@pytest.mark.parametrize("page", sorted(path.relative_to(ROOT).as_posix() for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]))
def test_links_between_pages_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), target


@pytest.mark.parametrize("package", ["schemas", "models", "agents", "stream"])
def test_the_packages_are_those_of_this_project(package: str) -> None:
    import importlib

    # Generic names: another distribution could shadow them.
    assert Path(importlib.import_module(package).__file__ or "").is_relative_to(ROOT)
