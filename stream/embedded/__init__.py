"""A Kafka broker in one process, for laptops, demonstrations and tests; scale and several copies are Apache Kafka's.

Where to look:

- a frame comes in: `connection` → `wire` (header, body) → `dispatch` (the table of requests) → `api_*` (the answers)
- a record is stored: `api_records` → `batch` (checks, numbers) → `log` → `segment` (file and index); `producers` knows repeats
- a broker starts: `recovery` (torn tails, trusted indexes), `topics`, `offsets` (committed, as records of a topic)
- a group rebalances: `group` (states) and `roster` (members and sessions)
- records go: `cleanup` (retention, when to compact), `compaction` (how)
- faults for tests: `faults`; the pytest fixture `embedded_broker`: `stream/pytest_plugin.py`

What a kill loses: nothing acknowledged. What a power cut loses: see `BrokerSettings.fsync`. Transactions are refused.
"""

from stream.embedded.broker import EmbeddedBroker, serve
from stream.embedded.errors import BrokerStartError, EmbeddedBrokerError, ErrorCode
from stream.embedded.faults import Faults
from stream.embedded.settings import BrokerSettings
from stream.embedded.threaded import running_broker

__all__ = [
    "BrokerSettings",
    "BrokerStartError",
    "EmbeddedBroker",
    "EmbeddedBrokerError",
    "ErrorCode",
    "Faults",
    "running_broker",
    "serve",
]
