"""The AsyncAPI 3.0 document of all topics, generated from the table of topics and the contracts."""

from __future__ import annotations

from typing import Any

from schemas.base import Contract
from schemas.topics import TOPICS, Topic

VERSION = "1.0.0"
"""Of the contracts: the first number is the `version` field of the records."""
HEADERS: dict[str, Any] = {
    "type": "object",
    "description": "CloudEvents 1.0 attributes in Kafka's binary mode. Flagstream always writes them and never needs them.",
    "properties": {
        "ce_specversion": {"type": "string", "const": "1.0"},
        "ce_id": {"type": "string", "description": "The record's own id"},
        "ce_source": {"type": "string", "description": "Who wrote the record"},
        "ce_type": {"type": "string", "description": "The kind of record and its version, such as flagstream.flag.v1"},
        "ce_time": {"type": "string", "format": "date-time"},
        "content-type": {"type": "string", "const": "application/json"},
    },
}


def document(*, prefix: str = "", broker: str | None = None) -> dict[str, Any]:
    """The document as JSON values; topic names carry `prefix`, and a server is named if `broker` (host:port[,…]) is given."""
    schemas: dict[str, Any] = {}
    for topic in TOPICS:
        _collect(topic.payload, schemas)
    content: dict[str, Any] = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Flagstream",
            "version": VERSION,
            "description": (
                "Messages and transactions in, flags out. All payloads are JSON. Readers must ignore fields that they do not know; a "
                "record whose `version` they do not know is not for them. Delivery is at least once: the `id` of a flag is the same "
                "in every delivery, so drop what you have seen."
            ),
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {_name(topic): _channel(topic, prefix) for topic in TOPICS},
        "operations": {_operation_name(topic): _operation(topic) for topic in TOPICS},
        "components": {
            "messages": {topic.payload.__name__: _message(topic) for topic in TOPICS},
            "schemas": {name: schemas[name] for name in sorted(schemas)},
        },
    }
    if broker is not None:
        hosts = broker.split(",")
        content["servers"] = {
            f"broker{number or ''}": {"host": host, "protocol": "kafka", "description": "A Kafka bootstrap server"}
            for number, host in enumerate(hosts)
        }
    return content


def _name(topic: Topic) -> str:
    """A name without dashes, which code generators make identifiers of."""
    first, *rest = topic.name.split("-")
    return first + "".join(word.capitalize() for word in rest)


def _channel(topic: Topic, prefix: str) -> dict[str, Any]:
    description = topic.payload.__doc__ or ""
    return {
        "address": f"{prefix}{topic.name}",
        "description": " ".join(description.split()),
        "messages": {topic.payload.__name__: {"$ref": f"#/components/messages/{topic.payload.__name__}"}},
        "bindings": {
            "kafka": {
                "topic": f"{prefix}{topic.name}",
                "partitions": topic.partitions,
                "topicConfiguration": {"cleanup.policy": ["delete"], "retention.ms": topic.retention_ms},
                "bindingVersion": "0.5.0",
            }
        },
    }


def _operation_name(topic: Topic) -> str:
    return f"{'receive' if topic.direction == 'in' else 'send'}{_name(topic)[0].upper()}{_name(topic)[1:]}"


def _operation(topic: Topic) -> dict[str, Any]:
    """Seen from Flagstream, as the specification wants it: it receives what others send."""
    return {
        "action": "receive" if topic.direction == "in" else "send",
        "channel": {"$ref": f"#/channels/{_name(topic)}"},
        "messages": [{"$ref": f"#/channels/{_name(topic)}/messages/{topic.payload.__name__}"}],
        "summary": f"Flagstream {'reads' if topic.direction == 'in' else 'writes'} {topic.name}",
    }


def _message(topic: Topic) -> dict[str, Any]:
    contract = topic.payload
    return {
        "name": contract.__name__,
        "title": contract.__name__,
        "contentType": "application/json",
        "headers": HEADERS,
        "payload": {"$ref": f"#/components/schemas/{contract.__name__}"},
        "bindings": {"kafka": {"key": {"type": "string", "description": topic.key}, "bindingVersion": "0.5.0"}},
    }


def _collect(contract: type[Contract], schemas: dict[str, Any]) -> None:
    """Add the schema of `contract` and of its parts, each under its own name."""
    schema = contract.model_json_schema(mode="validation", ref_template="#/components/schemas/{model}")
    for name, part in schema.pop("$defs", {}).items():
        schemas[name] = _draft_7(part)
    schemas[contract.__name__] = _draft_7(schema)


def _draft_7(schema: Any) -> Any:  # noqa: ANN401 (JSON)
    """AsyncAPI's own schemas are of draft 7, where the places of a tuple are called `items`."""
    if isinstance(schema, list):
        return [_draft_7(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {"items" if name == "prefixItems" else name: _draft_7(part) for name, part in schema.items()}
