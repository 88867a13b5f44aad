"""Policies: whether a file can be used, and what is in force."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stream.commands.options import Json, PolicyFile, settings_for

policy_app = typer.Typer(no_args_is_help=True, help="Policy files: check, show, fit to a budget, compare.")


@policy_app.command("check")
def policy_check(file: Annotated[Path, typer.Argument(help="The policy file.")]) -> None:
    """Say whether a policy file can be used."""
    from stream.load import load_policy

    policy = load_policy(settings_for(policy=file))
    typer.echo(f"{file}: ok, policy {policy.name!r}, {len(policy.labels)} labels, digest {policy.digest}")


@policy_app.command("show")
def policy_show(policy: PolicyFile = None, as_json: Json = False) -> None:
    """Show the policy in force."""
    from stream.load import load_policy

    found = load_policy(settings_for(policy=policy))
    if as_json:
        typer.echo(found.model_dump_json())
        return
    typer.echo(f"policy {found.name!r}, digest {found.digest}")
    for label, rule in found.labels.items():
        block = "never" if rule.block is None else f"{rule.block:.2f}"
        typer.echo(f"  {label:<12} review from {rule.review:.2f}  block from {block:<6} {rule.severity}")


