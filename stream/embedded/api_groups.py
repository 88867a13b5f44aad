"""Consumer groups: membership, committed offsets, and their administration."""

from kafka.protocol.admin import DeleteGroupsResponse, DescribeGroupsResponse, ListGroupsResponse
from kafka.protocol.consumer import (
    HeartbeatResponse,
    JoinGroupResponse,
    LeaveGroupResponse,
    OffsetCommitResponse,
    OffsetDeleteResponse,
    OffsetFetchResponse,
    SyncGroupResponse,
)

from stream.embedded.errors import ErrorCode, RefusedError
from stream.embedded.group import Group, MemberIdRequiredError, State
from stream.embedded.node import Call, Node
from stream.embedded.offsets import Committed, Place
from stream.embedded.roster import Joining
from stream.embedded.wire import Message

_ID_REQUIRED_FROM = 4  # the JoinGroup version from which a client is told its id before it joins


async def join_group(node: Node, call: Call) -> Message:
    """Answered once the group's members have all joined, or the wait for them is over."""
    request = call.request
    if not request.group_id:
        raise RefusedError(ErrorCode.INVALID_GROUP_ID)
    if request.member_id and request.group_id not in node.groups:
        raise RefusedError(ErrorCode.UNKNOWN_MEMBER_ID)
    about = Joining(
        client_id=call.client_id,
        client_host=call.client_host,
        instance_id=request.group_instance_id,
        protocol_type=request.protocol_type,
        protocols={each.name: each.metadata for each in request.protocols},
        session_timeout_ms=request.session_timeout_ms,
        rebalance_timeout_ms=max(request.rebalance_timeout_ms, 0) or request.session_timeout_ms,
    )
    group = node.group(request.group_id)
    try:
        joined = await group.join(request.member_id, about, id_required=call.version >= _ID_REQUIRED_FROM)
    except MemberIdRequiredError as required:
        return JoinGroupResponse(error_code=required.code, member_id=required.member_id, protocol_name="", leader="", members=[])
    member = JoinGroupResponse.JoinGroupResponseMember
    return JoinGroupResponse(
        error_code=0,
        generation_id=joined.generation,
        protocol_type=group.protocol_type,
        protocol_name=joined.protocol,
        leader=joined.leader,
        member_id=joined.member_id,
        members=[
            member(
                member_id=each.id,
                group_instance_id=each.about.instance_id,
                metadata=each.about.protocols[joined.protocol],
            )
            for each in joined.members
        ],
    )


def _known(node: Node, group_id: str) -> Group:
    try:
        return node.groups[group_id]
    except KeyError:
        raise RefusedError(ErrorCode.UNKNOWN_MEMBER_ID) from None


async def sync_group(node: Node, call: Call) -> Message:
    """Answered once the group's leader has assigned partitions."""
    request = call.request
    group = _known(node, request.group_id)
    assignments = {each.member_id: each.assignment for each in request.assignments}
    assignment = await group.sync(request.member_id, request.generation_id, request.group_instance_id, assignments)
    return SyncGroupResponse(error_code=0, protocol_type=group.protocol_type, protocol_name=group.protocol, assignment=assignment)


async def heartbeat(node: Node, call: Call) -> Message:
    """Keeps a member's session alive, and tells it to join again while the group rebalances."""
    request = call.request
    group = _known(node, request.group_id)
    group.heartbeat(request.member_id, request.generation_id, request.group_instance_id)
    return HeartbeatResponse(error_code=0)


async def leave_group(node: Node, call: Call) -> Message:
    """From version 3 several members may be named, and each has an answer of its own."""
    request = call.request
    group = _known(node, request.group_id)
    if call.version < 3:
        group.leave(request.member_id, None)
        return LeaveGroupResponse(error_code=0)
    left = []
    for each in request.members:
        code = ErrorCode.NONE
        try:
            group.leave(each.member_id, each.group_instance_id)
        except RefusedError as refusal:
            code = refusal.code
        left.append(LeaveGroupResponse.MemberResponse(member_id=each.member_id, group_instance_id=each.group_instance_id, error_code=code))
    return LeaveGroupResponse(error_code=0, members=left)


async def offset_commit(node: Node, call: Call) -> Message:
    """A partition that cannot be committed has an error of its own; the others are committed."""
    request = call.request
    generation, now_ms = request.generation_id_or_member_epoch, node.now_ms()
    refusal = ErrorCode.NONE
    try:
        if request.group_id in node.groups or generation >= 0:
            _known(node, request.group_id).check_commit(request.member_id, generation, request.group_instance_id)
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
    _deletable(node, request.group_id)
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


async def list_groups(node: Node, call: Call) -> Message:
    """All groups here are of the classic type."""
    request = call.request
    listed = []
    for group_id in sorted(node.group_ids()):
        group = node.groups.get(group_id)
        state = group.state if group else State.EMPTY
        if request.states_filter and state.value.lower() not in {each.lower() for each in request.states_filter}:
            continue
        if request.types_filter and "classic" not in {each.lower() for each in request.types_filter}:
            continue
        listed.append(
            ListGroupsResponse.ListedGroup(
                group_id=group_id,
                protocol_type=group.protocol_type if group else "consumer",
                group_state=state.value,
                group_type="classic",
            )
        )
    return ListGroupsResponse(error_code=0, groups=listed)


async def describe_groups(node: Node, call: Call) -> Message:
    """A group never heard of is described as dead, without an error."""
    request = call.request
    return DescribeGroupsResponse(groups=[_described(node, group_id) for group_id in request.groups])


def _described(node: Node, group_id: str) -> Message:
    described = DescribeGroupsResponse.DescribedGroup
    group = node.groups.get(group_id)
    if group is None:
        state = State.EMPTY if node.offsets.of(group_id) else State.DEAD
        kind = "consumer" if state is State.EMPTY else ""
        return described(error_code=0, group_id=group_id, group_state=state.value, protocol_type=kind, protocol_data="", members=[])
    return described(
        error_code=0,
        group_id=group_id,
        group_state=group.state.value,
        protocol_type=group.protocol_type,
        protocol_data=group.protocol,
        members=[
            described.DescribedGroupMember(
                member_id=each.id,
                group_instance_id=each.about.instance_id,
                client_id=each.about.client_id,
                client_host=f"/{each.about.client_host}",
                member_metadata=each.about.protocols.get(group.protocol, b""),
                member_assignment=each.assignment,
            )
            for each in group.members
        ],
    )


async def delete_groups(node: Node, call: Call) -> Message:
    """Only groups without members."""
    request = call.request
    results = []
    for group_id in request.groups_names:
        code = ErrorCode.NONE
        try:
            _deletable(node, group_id)
            if group := node.groups.pop(group_id, None):
                group.close()
            node.offsets.delete(group_id, list(node.offsets.of(group_id)), now_ms=node.now_ms())
        except RefusedError as refusal:
            code = refusal.code
        results.append(DeleteGroupsResponse.DeletableGroupResult(group_id=group_id, error_code=code))
    return DeleteGroupsResponse(results=results)


def _deletable(node: Node, group_id: str) -> None:
    if group_id not in node.group_ids():
        raise RefusedError(ErrorCode.GROUP_ID_NOT_FOUND)
    group = node.groups.get(group_id)
    if group and group.state is not State.EMPTY:
        raise RefusedError(ErrorCode.NON_EMPTY_GROUP)
