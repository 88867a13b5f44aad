"""JSON Schemas and the AsyncAPI document as files for other languages: `python -m schemas.export docs/reference`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from schemas.asyncapi import document
from schemas.policy import Policy
from schemas.topics import TOPICS

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(contract: type[BaseModel]) -> dict[str, Any]:
    """What a writer of `contract` may send (JSON Schema, draft 2020-12)."""
    return {"$schema": DIALECT, **contract.model_json_schema(mode="validation")}


def files() -> dict[str, str]:
    """Every generated file by name: one schema a payload, the policy's, and `asyncapi.json`."""
    contracts: list[type[BaseModel]] = [*(topic.payload for topic in TOPICS), Policy]
    documents = {f"{_kebab(contract.__name__)}.schema.json": json_schema(contract) for contract in contracts}
    documents["asyncapi.json"] = document()
    return {name: json.dumps(content, indent=2, ensure_ascii=False) + "\n" for name, content in documents.items()}


def write(folder: Path) -> list[str]:
    """Write `files()` into `folder`; the names of those that changed."""
    folder.mkdir(parents=True, exist_ok=True)
    changed = []
    for name, content in files().items():
        path = folder / name
        if not path.is_file() or path.read_text() != content:
            path.write_text(content)
            changed.append(name)
    return changed


def _kebab(name: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() and place else letter.lower() for place, letter in enumerate(name))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
