"""The broker about itself: which requests it speaks, and who coordinates."""

from kafka.protocol.admin import DescribeClusterResponse
from kafka.protocol.metadata import FindCoordinatorResponse

from stream.embedded.errors import ErrorCode, RefusedError
from stream.embedded.node import Call, Node
from stream.embedded.wire import NODE_ID, Message

_GROUP, _TRANSACTION = 0, 1  # what a coordinator is asked for


async def find_coordinator(node: Node, call: Call) -> Message:
    """This broker coordinates every group; transactions have no coordinator."""
    request = call.request
    if request.key_type == _TRANSACTION:
        raise RefusedError(ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "transactions are not offered by the embedded broker")
    if request.key_type != _GROUP:
        raise RefusedError(ErrorCode.INVALID_REQUEST)
    return FindCoordinatorResponse(error_code=0, error_message=None, node_id=NODE_ID, host=node.host, port=node.port)


async def describe_cluster(node: Node, _call: Call) -> Message:
    """The cluster is this one broker."""
    broker = DescribeClusterResponse.DescribeClusterBroker(broker_id=NODE_ID, host=node.host, port=node.port)
    return DescribeClusterResponse(error_code=0, cluster_id=node.cluster_id, controller_id=NODE_ID, brokers=[broker])
