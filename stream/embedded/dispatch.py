"""Which requests the broker speaks, in which versions, and who answers them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from kafka.protocol import admin, consumer, metadata, producer

from stream.embedded import api_cluster, api_configs, api_groups, api_offsets, api_records, api_topics
from stream.embedded.errors import ErrorCode, RefusedError
from stream.embedded.node import Call, Node
from stream.embedded.wire import Message

Answer = Callable[[Node, Call], Awaitable[Message]]


async def api_versions(_node: Node, _call: Call) -> Message:
    """What this broker speaks."""
    return versions()


def versions(error: ErrorCode = ErrorCode.NONE) -> Message:
    """The table below, as clients ask for it."""
    answer = metadata.ApiVersionsResponse
    spoken = [answer.ApiVersion(api_key=api.key, min_version=api.advertised_from, max_version=api.to) for api in APIS]
    return answer(error_code=error, api_keys=spoken)


@dataclass(frozen=True)
class Api:
    """A kind of request: its name, the versions `from_` to `to` that are spoken, and what answers it."""

    name: str
    from_: int
    to: int
    answer: Answer
    room: Message
    waits: bool = False
    """Whether the answer may wait for what other clients do."""

    @property
    def request(self) -> Message:
        """The class of the request."""
        return getattr(self.room, f"{self.name}Request")

    @property
    def response(self) -> Message:
        """The class of its response."""
        return getattr(self.room, f"{self.name}Response")

    @property
    def key(self) -> int:
        """The number that stands for the request on the wire."""
        return int(self.request.API_KEY)

    @property
    def advertised_from(self) -> int:
        """The lowest version that clients are told of."""
        # librdkafka takes a broker that does not list Produce 0 for one that cannot take compressed batches; Apache
        # Kafka 4 lists it for the same reason and answers it with UNSUPPORTED_VERSION, too.
        return 0 if self.name == "Produce" else self.from_


APIS: tuple[Api, ...] = (
    Api("Produce", 3, 8, api_records.produce, producer),
    Api("Fetch", 4, 11, api_records.fetch, consumer, waits=True),
    Api("ListOffsets", 1, 7, api_records.list_offsets, consumer),
    Api("Metadata", 0, 12, api_topics.metadata, metadata),
    Api("OffsetCommit", 2, 8, api_offsets.offset_commit, consumer),
    Api("OffsetFetch", 1, 7, api_offsets.offset_fetch, consumer),
    Api("FindCoordinator", 0, 3, api_cluster.find_coordinator, metadata),
    Api("JoinGroup", 0, 8, api_groups.join_group, consumer, waits=True),
    Api("Heartbeat", 0, 4, api_groups.heartbeat, consumer),
    Api("LeaveGroup", 0, 5, api_groups.leave_group, consumer),
    Api("SyncGroup", 0, 5, api_groups.sync_group, consumer, waits=True),
    Api("DescribeGroups", 0, 5, api_groups.describe_groups, admin),
    Api("ListGroups", 0, 5, api_groups.list_groups, admin),
    Api("ApiVersions", 0, 4, api_versions, metadata),
    Api("CreateTopics", 2, 7, api_topics.create_topics, admin),
    Api("DeleteTopics", 1, 5, api_topics.delete_topics, admin),
    Api("DeleteRecords", 0, 2, api_records.delete_records, admin),
    Api("InitProducerId", 0, 4, api_records.init_producer_id, producer),
    Api("OffsetForLeaderEpoch", 2, 4, api_records.offset_for_leader_epoch, consumer),
    Api("DescribeConfigs", 1, 4, api_configs.describe_configs, admin),
    Api("AlterConfigs", 0, 2, api_configs.alter_configs, admin),
    Api("CreatePartitions", 0, 3, api_topics.create_partitions, admin),
    Api("DeleteGroups", 0, 2, api_groups.delete_groups, admin),
    Api("IncrementalAlterConfigs", 0, 1, api_configs.incremental_alter_configs, admin),
    Api("OffsetDelete", 0, 0, api_offsets.offset_delete, consumer),
    Api("DescribeCluster", 0, 1, api_cluster.describe_cluster, admin),
)
BY_KEY = {api.key: api for api in APIS}


def refusal(api: Api, request: Message, refused: RefusedError) -> Message:
    """The response that says a whole request is refused; None where its response has no place for that."""
    if api.name == "Produce":
        return _produce_refusal(request, refused) if request is None or request.acks else None
    fields = api.response._struct.fields
    if "error_code" not in fields:
        return None
    said: dict[str, object] = {"error_code": refused.code}
    if "error_message" in fields:
        said["error_message"] = str(refused)
    if api.name == "JoinGroup":
        said |= {"protocol_name": "", "leader": "", "member_id": request.member_id if request else "", "members": []}
    if api.name == "FindCoordinator":
        said |= {"node_id": -1, "host": "", "port": -1}
    return api.response(**said)


def _produce_refusal(request: Message, refused: RefusedError) -> Message:
    topic = producer.ProduceResponse.TopicProduceResponse
    part = topic.PartitionProduceResponse
    return producer.ProduceResponse(
        responses=[
            topic(
                name=each.name,
                partition_responses=[
                    part(index=data.index, error_code=refused.code, base_offset=-1, error_message=str(refused))
                    for data in each.partition_data
                ],
            )
            for each in (request.topic_data if request else [])
        ]
    )
