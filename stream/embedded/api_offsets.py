"""Offsets that consumer groups commit."""

from kafka.protocol.consumer import OffsetCommitResponse, OffsetDeleteResponse, OffsetFetchResponse

from stream.embedded.errors import ErrorCode, RefusedError
from stream.embedded.node import Call, Node
from stream.embedded.offsets import Committed, Place
from stream.embedded.wire import Message


async def offset_commit(node: Node, call: Call) -> Message:
    """A partition that cannot be committed has an error of its own; the others are committed."""
    request = call.request
    generation, now_ms = request.generation_id_or_member_epoch, node.now_ms()
    refusal = ErrorCode.NONE
    try:
        if request.group_id in node.groups or generation >= 0:
            node.known_group(request.group_id).check_commit(request.member_id, generation, request.group_instance_id)
        elif not request.group_id:
            raise RefusedError(ErrorCode.INVALID_GROUP_ID)
    except RefusedError as refused:
        refusal = refused.code
    commits: dict[Place, Committed] = {}
    topics = []
    for topic in request.topics:
        parts = []
        for part in topic.partitions:
            code = refusal or _check_place(node, topic.name, part)
            if not code:
                commits[(topic.name, part.partition_index)] = Committed(
                    offset=part.committed_offset,
                    leader_epoch=part.committed_leader_epoch,
                    metadata=part.committed_metadata or "",
                    at_ms=now_ms,
                )
            answer = OffsetCommitResponse.OffsetCommitResponseTopic.OffsetCommitResponsePartition
            parts.append(answer(partition_index=part.partition_index, error_code=code))
        topics.append(OffsetCommitResponse.OffsetCommitResponseTopic(name=topic.name, partitions=parts))
    durable = node.settings.fsync == "always"
    await node.offsets.commit(request.group_id, commits, now_ms=now_ms, durable=durable)
    return OffsetCommitResponse(topics=topics)


def _check_place(node: Node, topic: str, part: Message) -> ErrorCode:
    try:
        node.topics.log(topic, part.partition_index)
    except RefusedError as refusal:
        return refusal.code
    if len((part.committed_metadata or "").encode()) > node.settings.max_offset_metadata_bytes:
        return ErrorCode.OFFSET_METADATA_TOO_LARGE
    return ErrorCode.NONE


async def offset_fetch(node: Node, call: Call) -> Message:
    """What the group has committed, -1 where nothing; without topics, all of it."""
    request = call.request
    known = node.offsets.of(request.group_id)
    places: dict[str, list[int]] = {}
    if request.topics is None:
        for name, partition in known:
            places.setdefault(name, []).append(partition)
    else:
        for asked in request.topics:
            places.setdefault(asked.name, []).extend(asked.partition_indexes)
    topic = OffsetFetchResponse.OffsetFetchResponseTopic
    part = topic.OffsetFetchResponsePartition
    none = Committed(offset=-1, leader_epoch=-1, metadata="", at_ms=0)
    topics = []
    for name, partitions in places.items():
        found = [(partition, known.get((name, partition), none)) for partition in partitions]
        topics.append(
            topic(
                name=name,
                partitions=[
                    part(
                        partition_index=partition,
                        committed_offset=commit.offset,
                        committed_leader_epoch=commit.leader_epoch,
                        metadata=commit.metadata,
                        error_code=0,
                    )
                    for partition, commit in found
                ],
            )
        )
    return OffsetFetchResponse(error_code=0, topics=topics)


async def offset_delete(node: Node, call: Call) -> Message:
    """Only for groups without members."""
    request = call.request
    node.check_deletable(request.group_id)
    topic = OffsetDeleteResponse.OffsetDeleteResponseTopic
    places = [(each.name, part.partition_index) for each in request.topics for part in each.partitions]
    node.offsets.delete(request.group_id, places, now_ms=node.now_ms())
    topics = [
        topic(
            name=each.name,
            partitions=[
                topic.OffsetDeleteResponsePartition(partition_index=part.partition_index, error_code=0) for part in each.partitions
            ],
        )
        for each in request.topics
    ]
    return OffsetDeleteResponse(error_code=0, topics=topics)
