"""How a broker is set up: limits, durability and defaults of topics and groups."""

from dataclasses import dataclass
from typing import Literal

FsyncPolicy = Literal["always", "interval", "never"]


@dataclass(frozen=True, kw_only=True)
class BrokerSettings:
    """Every setting of the embedded broker; `ValueError` at construction where one makes no sense.

    `fsync` decides what a power cut can lose. A killed process loses nothing acknowledged under any of the three,
    because an acknowledgement follows the write to the operating system.

    - `always`: acknowledged means on the disk (concurrent writers share one flush).
    - `interval`: a power cut can lose what was acknowledged in the last `fsync_interval_s`.
    - `never`: a power cut can lose what the operating system had not yet written, usually up to 30 s.

    At start every batch's checksum is verified in segments that were not sealed in order; `verify_all` verifies all.
    """

    fsync: FsyncPolicy = "interval"
    fsync_interval_s: float = 1.0
    verify_all: bool = False

    auto_create_topics: bool = True
    default_partitions: int = 4
    segment_bytes: int = 64 << 20
    index_interval_bytes: int = 32 << 10
    retention_ms: int = 7 * 24 * 3600 * 1000
    retention_bytes: int = -1
    cleanup_interval_s: float = 30.0
    compaction_max_keys: int = 500_000
    producer_expiry_s: float = 24 * 3600.0
    offsets_retention_s: float = 7 * 24 * 3600.0

    max_message_bytes: int = 1_048_588
    max_request_bytes: int = 100 << 20
    max_control_bytes: int = 4 << 20
    max_connections: int = 512
    max_fetch_bytes: int = 16 << 20
    max_buffer_bytes: int = 256 << 20
    max_partitions: int = 4096
    idle_connection_s: float = 600.0
    frame_timeout_s: float = 60.0

    initial_rebalance_delay_s: float = 0.2
    min_session_timeout_ms: int = 1_000
    max_session_timeout_ms: int = 1_800_000
    max_group_members: int = 1_000
    max_offset_metadata_bytes: int = 4096

    allow_remote: bool = False
    advertised_host: str | None = None

    def __post_init__(self) -> None:
        if self.fsync not in ("always", "interval", "never"):
            raise ValueError(f"fsync: {self.fsync!r} is none of always, interval, never")
        positive = (
            "fsync_interval_s", "default_partitions", "segment_bytes", "index_interval_bytes", "cleanup_interval_s",
            "max_message_bytes", "max_request_bytes", "max_connections", "max_fetch_bytes", "max_buffer_bytes",
        )  # fmt: skip
        for name in positive:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive")
        if self.max_buffer_bytes < self.max_request_bytes:
            raise ValueError("max_buffer_bytes must be at least max_request_bytes")
