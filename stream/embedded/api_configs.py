"""Configs of topics, and of the broker as far as they can be read."""

from collections.abc import Mapping

from kafka.protocol.admin import AlterConfigsResponse, DescribeConfigsResponse, IncrementalAlterConfigsResponse

from stream.embedded import configs
from stream.embedded.errors import ErrorCode, RefusedError
from stream.embedded.node import Call, Node
from stream.embedded.topics import OFFSETS_TOPIC, Topic
from stream.embedded.wire import NODE_ID, Message

_TOPIC, _BROKER = 2, 4  # resource types
_FROM_TOPIC, _FROM_BROKER_FILE, _FROM_DEFAULT = 1, 4, 5  # where a config's value comes from
_SET, _DELETE, _APPEND, _SUBTRACT = range(4)  # operations of IncrementalAlterConfigs


def topic_configs(node: Node, topic: Topic) -> list[tuple[str, str, int, int]]:
    """Every config of a topic: name, value, where it comes from, type."""
    return [
        (each.name, topic.overrides[each.name], _FROM_TOPIC, each.type)
        if each.name in topic.overrides
        else (each.name, each.default_in(node.settings), _FROM_DEFAULT, each.type)
        for each in configs.CONFIGS
    ]


def _broker_configs(node: Node) -> list[tuple[str, str, int, int]]:
    settings = node.settings
    pairs = {
        "auto.create.topics.enable": (str(settings.auto_create_topics).lower(), configs.BOOLEAN),
        "num.partitions": (str(settings.default_partitions), configs.INT),
        "default.replication.factor": ("1", configs.INT),
        "min.insync.replicas": ("1", configs.INT),
        "message.max.bytes": (str(settings.max_message_bytes), configs.INT),
        "log.retention.ms": (str(settings.retention_ms), configs.LONG),
        "log.retention.bytes": (str(settings.retention_bytes), configs.LONG),
        "log.segment.bytes": (str(settings.segment_bytes), configs.INT),
        "max.connections": (str(settings.max_connections), configs.INT),
        "socket.request.max.bytes": (str(settings.max_request_bytes), configs.INT),
    }
    return [(name, value, _FROM_BROKER_FILE, kind) for name, (value, kind) in pairs.items()]


async def describe_configs(node: Node, call: Call) -> Message:
    """A topic's configs with their defaults, and some of the broker's settings, read-only."""
    request = call.request
    answer = DescribeConfigsResponse.DescribeConfigsResult
    results = []
    for asked in request.resources:
        same = {"resource_type": asked.resource_type, "resource_name": asked.resource_name}
        try:
            found, read_only = _configs_of(node, asked)
        except RefusedError as refusal:
            results.append(answer(error_code=refusal.code, error_message=str(refusal), configs=[], **same))
            continue
        wanted = asked.configuration_keys
        described = [
            answer.DescribeConfigsResourceResult(
                name=name,
                value=value,
                read_only=read_only,
                config_source=source,
                is_default=source == _FROM_DEFAULT,
                is_sensitive=False,
                synonyms=[],
                config_type=kind,
                documentation=None,
            )
            for name, value, source, kind in found
            if wanted is None or name in wanted
        ]
        results.append(answer(error_code=0, configs=described, **same))
    return DescribeConfigsResponse(results=results)


def _configs_of(node: Node, asked: Message) -> tuple[list[tuple[str, str, int, int]], bool]:
    if asked.resource_type == _TOPIC:
        return topic_configs(node, node.topics[asked.resource_name]), False
    if asked.resource_type == _BROKER and asked.resource_name in ("", str(NODE_ID)):
        return _broker_configs(node), True
    raise RefusedError(ErrorCode.INVALID_REQUEST, f"no such resource: {asked.resource_name}")


async def alter_configs(node: Node, call: Call) -> Message:
    """Replaces all of a topic's configs."""
    request = call.request
    answer = AlterConfigsResponse.AlterConfigsResourceResponse
    results = []
    for asked in request.resources:
        wanted = {each.name: each.value for each in asked.configs if each.value is not None}
        results.append(_altered(node, asked, wanted, answer, only_check=request.validate_only))
    return AlterConfigsResponse(responses=results)


async def incremental_alter_configs(node: Node, call: Call) -> Message:
    """Sets, deletes, appends to or subtracts from a topic's configs one by one."""
    request = call.request
    answer = IncrementalAlterConfigsResponse.AlterConfigsResourceResponse
    results = []
    for asked in request.resources:
        wanted = dict(node.topics[asked.resource_name].overrides) if asked.resource_name in node.topics else {}
        for each in asked.configs:
            present = wanted.get(each.name, configs.default_of(each.name, node.settings)).split(",")
            if each.config_operation == _SET:
                wanted[each.name] = each.value
            elif each.config_operation == _DELETE:
                wanted.pop(each.name, None)
            elif each.config_operation == _APPEND:
                wanted[each.name] = ",".join(dict.fromkeys([*present, each.value or ""]))
            elif each.config_operation == _SUBTRACT:
                wanted[each.name] = ",".join(word for word in present if word != each.value)
        results.append(_altered(node, asked, wanted, answer, only_check=request.validate_only))
    return IncrementalAlterConfigsResponse(responses=results)


def _altered(node: Node, asked: Message, wanted: Mapping[str, str | None], answer: Message, *, only_check: bool) -> Message:
    same = {"resource_type": asked.resource_type, "resource_name": asked.resource_name}
    try:
        if asked.resource_type != _TOPIC:
            raise RefusedError(ErrorCode.INVALID_REQUEST, "the broker's own configs are its start settings")
        topic = node.topics[asked.resource_name]
        if topic.name == OFFSETS_TOPIC:
            raise RefusedError(ErrorCode.INVALID_REQUEST, f"{OFFSETS_TOPIC} is the broker's own")
        checked = {name: configs.check(name, value) for name, value in wanted.items()}
        if not only_check:
            topic.configure(checked)
            topic.save()
    except RefusedError as refusal:
        return answer(error_code=refusal.code, error_message=str(refusal), **same)
    return answer(error_code=0, error_message=None, **same)
