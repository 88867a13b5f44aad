"""Metadata, topics, partitions and configs."""

from collections.abc import Mapping

from kafka.protocol.admin import (
    AlterConfigsResponse,
    CreatePartitionsResponse,
    CreateTopicsResponse,
    DeleteTopicsResponse,
    DescribeConfigsResponse,
    IncrementalAlterConfigsResponse,
)
from kafka.protocol.metadata import MetadataResponse

from stream.embedded import configs
from stream.embedded.errors import ErrorCode, RefusedError
from stream.embedded.node import Call, Node
from stream.embedded.topics import OFFSETS_TOPIC, Topic
from stream.embedded.wire import NODE_ID, Message

_TOPIC, _BROKER = 2, 4  # resource types
_FROM_TOPIC, _FROM_BROKER_FILE, _FROM_DEFAULT = 1, 4, 5  # where a config's value comes from
_SET, _DELETE, _APPEND, _SUBTRACT = range(4)  # operations of IncrementalAlterConfigs


async def metadata(node: Node, call: Call) -> Message:
    """Topics by name or id, or all; a name without a topic creates it if settings and client allow."""
    request = call.request
    if request.topics is None or (call.version == 0 and not request.topics):
        topics = [_described(topic) for topic in node.topics]
    else:
        may_create = request.allow_auto_topic_creation or call.version < 4
        topics = [_found(node, each, may_create=may_create) for each in request.topics]
    broker = MetadataResponse.MetadataResponseBroker(node_id=NODE_ID, host=node.host, port=node.port)
    return MetadataResponse(brokers=[broker], cluster_id=node.cluster_id, controller_id=NODE_ID, topics=topics)


def _found(node: Node, asked: Message, *, may_create: bool) -> Message:
    try:
        if asked.topic_id is not None and not asked.name:
            topic = node.topics.with_id(asked.topic_id)
            if topic is None:
                raise RefusedError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        elif asked.name not in node.topics and may_create and node.settings.auto_create_topics:
            topic = node.topics.create(asked.name, node.settings.default_partitions, {}, now_ms=node.now_ms())
        else:
            topic = node.topics[asked.name]
    except RefusedError as refusal:
        return MetadataResponse.MetadataResponseTopic(
            error_code=refusal.code, name=asked.name or "", topic_id=asked.topic_id, partitions=[]
        )
    return _described(topic)


def _described(topic: Topic) -> Message:
    answer = MetadataResponse.MetadataResponseTopic
    return answer(
        error_code=0,
        name=topic.name,
        topic_id=topic.id,
        is_internal=topic.internal,
        partitions=[
            answer.MetadataResponsePartition(
                error_code=0,
                partition_index=index,
                leader_id=NODE_ID,
                leader_epoch=0,
                replica_nodes=[NODE_ID],
                isr_nodes=[NODE_ID],
                offline_replicas=[],
            )
            for index in range(len(topic.partitions))
        ],
    )


async def create_topics(node: Node, call: Call) -> Message:
    """Each topic is created with its configs, or has an error of its own."""
    request = call.request
    names = [topic.name for topic in request.topics]
    answer = CreateTopicsResponse.CreatableTopicResult
    results = []
    for asked in request.topics:
        try:
            if names.count(asked.name) > 1:
                raise RefusedError(ErrorCode.INVALID_REQUEST, f"topic {asked.name} is named twice")
            results.append(_created(node, asked, only_check=request.validate_only))
        except RefusedError as refusal:
            results.append(answer(name=asked.name, error_code=refusal.code, error_message=str(refusal), configs=None))
    return CreateTopicsResponse(topics=results)


def _created(node: Node, asked: Message, *, only_check: bool) -> Message:
    partitions = asked.num_partitions
    if asked.assignments:
        if sorted(each.partition_index for each in asked.assignments) != list(range(len(asked.assignments))):
            raise RefusedError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, "partitions are numbered from 0 without a gap")
        if any(each.broker_ids != [NODE_ID] for each in asked.assignments):
            raise RefusedError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, f"the only broker is {NODE_ID}")
        partitions = len(asked.assignments)
    elif partitions == -1:
        partitions = node.settings.default_partitions
    if asked.replication_factor not in (-1, 1) and not asked.assignments:
        raise RefusedError(ErrorCode.INVALID_REPLICATION_FACTOR, "one broker holds one replica: ask for replication factor 1")
    overrides = {each.name: each.value for each in asked.configs}
    answer = CreateTopicsResponse.CreatableTopicResult
    if only_check:
        node.topics.check_new(asked.name, partitions, overrides)
        return answer(name=asked.name, error_code=0, num_partitions=partitions, replication_factor=1, configs=[])
    topic = node.topics.create(asked.name, partitions, overrides, now_ms=node.now_ms())
    described = [
        answer.CreatableTopicConfigs(name=name, value=value, read_only=False, config_source=source, is_sensitive=False)
        for name, value, source, _ in _topic_configs(node, topic)
    ]
    return answer(
        name=topic.name,
        topic_id=topic.id,
        error_code=0,
        num_partitions=partitions,
        replication_factor=1,
        configs=described,
    )


async def delete_topics(node: Node, call: Call) -> Message:
    """The topics' records and the offsets committed for them are gone when this is answered."""
    request = call.request
    answer = DeleteTopicsResponse.DeletableTopicResult
    results = []
    for name in request.topic_names:
        try:
            node.topics.delete(name)
            node.offsets.delete_topic(name, now_ms=node.now_ms())
            results.append(answer(name=name, error_code=0))
        except RefusedError as refusal:
            results.append(answer(name=name, error_code=refusal.code, error_message=str(refusal)))
    return DeleteTopicsResponse(responses=results)


async def create_partitions(node: Node, call: Call) -> Message:
    """A topic can only grow."""
    request = call.request
    answer = CreatePartitionsResponse.CreatePartitionsTopicResult
    results = []
    for asked in request.topics:
        try:
            topic = node.topics[asked.name]
            more = asked.count - len(topic.partitions)
            if more <= 0 or topic.internal:
                raise RefusedError(ErrorCode.INVALID_PARTITIONS, f"{asked.name} has {len(topic.partitions)} partitions")
            if asked.assignments is not None and len(asked.assignments) != more:
                raise RefusedError(ErrorCode.INVALID_REPLICA_ASSIGNMENT, "one assignment for each new partition")
            node.topics.check_room(more)
            if not request.validate_only:
                topic.grow(asked.count, now_ms=node.now_ms())
            results.append(answer(name=asked.name, error_code=0))
        except RefusedError as refusal:
            results.append(answer(name=asked.name, error_code=refusal.code, error_message=str(refusal)))
    return CreatePartitionsResponse(results=results)


def _topic_configs(node: Node, topic: Topic) -> list[tuple[str, str, int, int]]:
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
        return _topic_configs(node, node.topics[asked.resource_name]), False
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
            listed = [word for word in wanted.get(each.name, "").split(",") if word]
            if each.config_operation == _SET:
                wanted[each.name] = each.value
            elif each.config_operation == _DELETE:
                wanted.pop(each.name, None)
            elif each.config_operation == _APPEND:
                wanted[each.name] = ",".join([*listed, each.value])
            elif each.config_operation == _SUBTRACT:
                wanted[each.name] = ",".join(word for word in listed if word != each.value)
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
