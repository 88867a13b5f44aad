"""Consumer groups: membership and administration."""

from kafka.protocol.admin import DeleteGroupsResponse, DescribeGroupsResponse, ListGroupsResponse
from kafka.protocol.consumer import (
    HeartbeatResponse,
    JoinGroupResponse,
    LeaveGroupResponse,
    SyncGroupResponse,
)

from stream.embedded.errors import ErrorCode, MemberIdRequiredError, RefusedError
from stream.embedded.group import State
from stream.embedded.node import Call, Node
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


async def sync_group(node: Node, call: Call) -> Message:
    """Answered once the group's leader has assigned partitions."""
    request = call.request
    group = node.known_group(request.group_id)
    assignments = {each.member_id: each.assignment for each in request.assignments}
    assignment = await group.sync(request.member_id, request.generation_id, request.group_instance_id, assignments)
    return SyncGroupResponse(error_code=0, protocol_type=group.protocol_type, protocol_name=group.protocol, assignment=assignment)


async def heartbeat(node: Node, call: Call) -> Message:
    """Keeps a member's session alive, and tells it to join again while the group rebalances."""
    request = call.request
    group = node.known_group(request.group_id)
    group.heartbeat(request.member_id, request.generation_id, request.group_instance_id)
    return HeartbeatResponse(error_code=0)


async def leave_group(node: Node, call: Call) -> Message:
    """From version 3 several members may be named, and each has an answer of its own."""
    request = call.request
    group = node.known_group(request.group_id)
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
            node.check_deletable(group_id)
            if group := node.groups.pop(group_id, None):
                group.close()
            node.offsets.delete(group_id, list(node.offsets.of(group_id)), now_ms=node.now_ms())
        except RefusedError as refusal:
            code = refusal.code
        results.append(DeleteGroupsResponse.DeletableGroupResult(group_id=group_id, error_code=code))
    return DeleteGroupsResponse(results=results)
