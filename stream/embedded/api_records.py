"""Produce, Fetch and what else is asked about records."""

import asyncio
import contextlib

from kafka.protocol.admin import DeleteRecordsResponse
from kafka.protocol.consumer import ListOffsetsResponse, OffsetForLeaderEpochResponse
from kafka.protocol.producer import InitProducerIdResponse, ProduceResponse

from stream.embedded import batch
from stream.embedded.errors import ErrorCode, MalformedRequestError, RefusedError
from stream.embedded.log import PartitionLog, Waiter
from stream.embedded.node import Call, Node
from stream.embedded.times import first_at, youngest
from stream.embedded.wire import Encoded, Fetched, Message, encode_fetch

LATEST, EARLIEST, MAX_TIMESTAMP, EARLIEST_LOCAL = -1, -2, -3, -4

_TopicProduced = ProduceResponse.TopicProduceResponse
_Produced = _TopicProduced.PartitionProduceResponse


async def produce(node: Node, call: Call) -> Message:
    """Answered once the records are written, and on the disk if `fsync` is `always`; not at all for acks=0."""
    request = call.request
    if request.transactional_id is not None:
        _no_transactions()
    if request.acks not in (-1, 0, 1):
        raise RefusedError(ErrorCode.INVALID_REQUIRED_ACKS)
    written: list[PartitionLog] = []
    topics = [
        _TopicProduced(
            name=topic.name,
            partition_responses=[_append(node, topic.name, part, written) for part in topic.partition_data],
        )
        for topic in request.topic_data
    ]
    if node.settings.fsync == "always":
        await asyncio.gather(*(log.flushed() for log in written))
    await node.faults.acks_released()
    if request.acks == 0:
        if any(part.error_code for topic in topics for part in topic.partition_responses):
            raise MalformedRequestError("records sent with acks=0 were refused: the only answer is to end the connection")
        return None
    return ProduceResponse(responses=topics, throttle_time_ms=0)


def _append(node: Node, name: str, part: Message, written: list[PartitionLog]) -> Message:
    try:
        failure = node.faults.failure_of("Produce", name)
        if failure is not None:
            raise RefusedError(failure)
        if node.faults.paused(name, part.index):
            raise RefusedError(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        topic = node.topics[name]
        log = topic.log(part.index)
        if topic.internal:
            raise RefusedError(ErrorCode.INVALID_TOPIC_EXCEPTION, f"{name} is the broker's own")
        header = batch.check(part.records or b"")
        if header.size > topic.config.max_message_bytes:
            raise RefusedError(ErrorCode.MESSAGE_TOO_LARGE, f"a batch has at most {topic.config.max_message_bytes} bytes")
        if topic.config.compacted:
            batch.check_keys(part.records)
        stamp = topic.config.log_append_time
        now_ms = node.now_ms()
        offset = log.append(part.records, header, now_ms=now_ms, stamp=stamp)
    except RefusedError as refusal:
        return _Produced(index=part.index, error_code=refusal.code, base_offset=-1, error_message=str(refusal))
    written.append(log)
    return _Produced(
        index=part.index,
        error_code=ErrorCode.NONE,
        base_offset=offset,
        log_append_time_ms=now_ms if stamp else -1,
        log_start_offset=log.start,
    )


async def fetch(node: Node, call: Call) -> Encoded:
    """Answered at once with `min_bytes` of records, or with what there is when `max_wait_ms` is over."""
    request = call.request
    if request.session_id:
        return encode_fetch(call.version, ErrorCode.FETCH_SESSION_ID_NOT_FOUND, [])
    loop = asyncio.get_running_loop()
    deadline = loop.time() + request.max_wait_ms / 1000
    while True:
        topics, count, failed = _read(node, request)
        left = deadline - loop.time()
        if count >= request.min_bytes or failed or left <= 0:
            return encode_fetch(call.version, ErrorCode.NONE, topics)
        logs = [node.topics.log(topic.topic, part.partition) for topic in request.topics for part in topic.partitions]
        waiter = Waiter(max(request.min_bytes - count, 1), loop.create_future())
        for log in logs:
            log.waiters.add(waiter)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await waiter.ready
        finally:
            for log in logs:
                log.waiters.discard(waiter)


def _read(node: Node, request: Message) -> tuple[list[tuple[str, list[Fetched]]], int, bool]:
    """What is there for a fetch: partitions by topic, the bytes of records in all, and whether any failed."""
    left = min(request.max_bytes, node.settings.max_fetch_bytes, max(node.budget.left, batch.HEADER_BYTES))
    count, failed = 0, False
    topics: list[tuple[str, list[Fetched]]] = []
    for topic in request.topics:
        parts: list[Fetched] = []
        for part in topic.partitions:
            try:
                log = node.topics.log(topic.topic, part.partition)
                if part.current_leader_epoch > 0:
                    raise RefusedError(ErrorCode.UNKNOWN_LEADER_EPOCH)
                most = min(part.partition_max_bytes, left)
                paused = node.faults.paused(topic.topic, part.partition)
                records = b"" if paused else log.read(part.fetch_offset, most, at_least_one=count == 0)
                parts.append(Fetched(part.partition, ErrorCode.NONE, log.end, log.start, records))
                left -= len(records)
                count += len(records)
            except RefusedError as refusal:
                failed = True
                parts.append(Fetched(part.partition, refusal.code))
        topics.append((topic.topic, parts))
    return topics, count, failed


async def list_offsets(node: Node, call: Call) -> Message:
    """The log's bounds, or the first record at or after a time."""
    request = call.request
    answer = ListOffsetsResponse.ListOffsetsTopicResponse
    topics = [
        answer(name=topic.name, partitions=[_offset_at(node, topic.name, part) for part in topic.partitions]) for topic in request.topics
    ]
    return ListOffsetsResponse(topics=topics)


def _offset_at(node: Node, name: str, part: Message) -> Message:
    answer = ListOffsetsResponse.ListOffsetsTopicResponse.ListOffsetsPartitionResponse
    try:
        log = node.topics.log(name, part.partition_index)
        found: tuple[int, int] | None
        if part.timestamp == LATEST:
            found = (log.end, -1)
        elif part.timestamp in (EARLIEST, EARLIEST_LOCAL):
            found = (log.start, -1)
        elif part.timestamp == MAX_TIMESTAMP:
            found = youngest(log)
        else:
            found = first_at(log, part.timestamp)
    except RefusedError as refusal:
        return answer(partition_index=part.partition_index, error_code=refusal.code, offset=-1, timestamp=-1)
    offset, timestamp = found or (-1, -1)
    return answer(partition_index=part.partition_index, error_code=0, offset=offset, timestamp=timestamp, leader_epoch=0)


async def init_producer_id(node: Node, call: Call) -> Message:
    """An id of its own for every idempotent producer."""
    request = call.request
    if request.transactional_id is not None:
        _no_transactions()
    return InitProducerIdResponse(error_code=0, producer_id=node.new_producer_id(), producer_epoch=0)


def _no_transactions() -> None:
    raise RefusedError(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "transactions are not offered by the embedded broker")


async def delete_records(node: Node, call: Call) -> Message:
    """Moves a partition's start; -1 stands for its end."""
    request = call.request
    answer = DeleteRecordsResponse.DeleteRecordsTopicResult
    topics = [
        answer(name=topic.name, partitions=[_delete_before(node, topic.name, part) for part in topic.partitions])
        for topic in request.topics
    ]
    return DeleteRecordsResponse(topics=topics)


def _delete_before(node: Node, name: str, part: Message) -> Message:
    answer = DeleteRecordsResponse.DeleteRecordsTopicResult.DeleteRecordsPartitionResult
    try:
        log = node.topics.log(name, part.partition_index)
        offset = log.end if part.offset == LATEST else part.offset
        if not 0 <= offset <= log.end:
            raise RefusedError(ErrorCode.OFFSET_OUT_OF_RANGE)
        log.delete_before(offset)
    except RefusedError as refusal:
        return answer(partition_index=part.partition_index, low_watermark=-1, error_code=refusal.code)
    return answer(partition_index=part.partition_index, low_watermark=log.start, error_code=0)


async def offset_for_leader_epoch(node: Node, call: Call) -> Message:
    """One node leads every partition in epoch 0 for good, so the epoch ends where the log does."""
    request = call.request
    answer = OffsetForLeaderEpochResponse.OffsetForLeaderTopicResult
    topics = []
    for topic in request.topics:
        parts = []
        for part in topic.partitions:
            try:
                log = node.topics.log(topic.topic, part.partition)
                known = part.leader_epoch == 0
                parts.append(
                    answer.EpochEndOffset(
                        partition=part.partition,
                        error_code=0,
                        leader_epoch=0 if known else -1,
                        end_offset=log.end if known else -1,
                    )
                )
            except RefusedError as refusal:
                parts.append(answer.EpochEndOffset(partition=part.partition, error_code=refusal.code))
        topics.append(answer(topic=topic.topic, partitions=parts))
    return OffsetForLeaderEpochResponse(topics=topics)
