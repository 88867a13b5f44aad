"""Metadata, and the making and deleting of topics and partitions."""

from collections import Counter

from kafka.protocol.admin import (
    CreatePartitionsResponse,
    CreateTopicsResponse,
    DeleteTopicsResponse,
)
from kafka.protocol.metadata import MetadataResponse

from stream.embedded.api_configs import topic_configs
from stream.embedded.errors import ErrorCode, RefusedError
from stream.embedded.node import Call, Node
from stream.embedded.topics import Topic, check_name
from stream.embedded.wire import NODE_ID, Message


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
        elif asked.name not in node.topics:
            topic = _missing(node, asked.name, may_create=may_create)
        else:
            topic = node.topics[asked.name]
    except RefusedError as refusal:
        return MetadataResponse.MetadataResponseTopic(
            error_code=refusal.code, name=asked.name or "", topic_id=asked.topic_id, partitions=[]
        )
    return _described(topic)


def _missing(node: Node, name: str, *, may_create: bool) -> Topic:
    """A topic made because it was asked for; `RefusedError` where its name or the settings forbid it."""
    check_name(name)
    if not (may_create and node.settings.auto_create_topics):
        raise RefusedError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    return node.topics.create(name, node.settings.default_partitions, {}, now_ms=node.now_ms())


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
    times_named = Counter(topic.name for topic in request.topics)
    answer = CreateTopicsResponse.CreatableTopicResult
    results = []
    for asked in request.topics:
        try:
            if times_named[asked.name] > 1:
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
        for name, value, source, _ in topic_configs(node, topic)
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
