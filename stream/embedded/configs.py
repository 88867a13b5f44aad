"""Topic configs: which the broker honours, which it keeps for clients that set them, and their defaults."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from stream.embedded.errors import ErrorCode, Refused
from stream.embedded.settings import BrokerSettings

LONG, INT, STRING, BOOLEAN, LIST, DOUBLE = 5, 3, 2, 1, 7, 6  # the protocol's config types


@dataclass(frozen=True)
class Config:
    """One topic config: its type, its default from the broker's settings, and whether the broker acts on it."""

    name: str
    type: int
    default: Callable[[BrokerSettings], object]
    honoured: bool = True
    least: int = 0
    choices: tuple[str, ...] = ()


_FOREVER = 9_223_372_036_854_775_807

CONFIGS: tuple[Config, ...] = (
    Config("cleanup.policy", LIST, lambda s: "delete", choices=("delete", "compact")),
    Config("retention.ms", LONG, lambda s: s.retention_ms, least=-1),
    Config("retention.bytes", LONG, lambda s: s.retention_bytes, least=-1),
    Config("segment.bytes", INT, lambda s: s.segment_bytes, least=1024),
    Config("segment.ms", LONG, lambda s: 7 * 24 * 3600 * 1000, least=1),
    Config("max.message.bytes", INT, lambda s: s.max_message_bytes),
    Config("message.timestamp.type", STRING, lambda s: "CreateTime", choices=("CreateTime", "LogAppendTime")),
    Config("delete.retention.ms", LONG, lambda s: 24 * 3600 * 1000),
    Config("min.compaction.lag.ms", LONG, lambda s: 0),
    Config("min.cleanable.dirty.ratio", DOUBLE, lambda s: 0.5),
    # Kept and described, because clients and tools set them; one node has no use for them.
    Config("compression.type", STRING, lambda s: "producer", honoured=False, choices=("producer",)),
    Config("file.delete.delay.ms", LONG, lambda s: 60_000, honoured=False),
    Config("flush.messages", LONG, lambda s: _FOREVER, honoured=False),
    Config("flush.ms", LONG, lambda s: _FOREVER, honoured=False),
    Config("index.interval.bytes", INT, lambda s: s.index_interval_bytes, honoured=False),
    Config("max.compaction.lag.ms", LONG, lambda s: _FOREVER, honoured=False),
    Config("message.timestamp.after.max.ms", LONG, lambda s: _FOREVER, honoured=False),
    Config("message.timestamp.before.max.ms", LONG, lambda s: _FOREVER, honoured=False),
    Config("message.timestamp.difference.max.ms", LONG, lambda s: _FOREVER, honoured=False),
    Config("min.insync.replicas", INT, lambda s: 1, honoured=False),
    Config("preallocate", BOOLEAN, lambda s: "false", honoured=False, choices=("true", "false")),
    Config("segment.index.bytes", INT, lambda s: 10 << 20, honoured=False),
    Config("segment.jitter.ms", LONG, lambda s: 0, honoured=False),
    Config("unclean.leader.election.enable", BOOLEAN, lambda s: "false", honoured=False, choices=("true", "false")),
)  # fmt: skip
_BY_NAME = {config.name: config for config in CONFIGS}


@dataclass(frozen=True, kw_only=True)
class TopicConfig:
    """A topic's configs as the log uses them."""

    compacted: bool
    deleted: bool
    retention_ms: int
    retention_bytes: int
    segment_bytes: int
    segment_ms: int
    max_message_bytes: int
    log_append_time: bool
    delete_retention_ms: int
    min_compaction_lag_ms: int
    min_dirty_ratio: float


def check(name: str, text: str | None) -> str:
    """The config's value in its usual form; `Refused` where the name is unknown or the value does not fit."""
    config = _BY_NAME.get(name)
    if config is None:
        raise Refused(ErrorCode.INVALID_CONFIG, f"unknown topic config {name}")
    if text is None:
        raise Refused(ErrorCode.INVALID_CONFIG, f"{name} needs a value")
    text = text.strip()
    if config.choices:
        chosen = [word.strip() for word in text.split(",")] if config.type == LIST else [text]
        if not all(word in config.choices for word in chosen):
            raise Refused(ErrorCode.INVALID_CONFIG, f"{name}: {text!r} is none of {', '.join(config.choices)}")
        return ",".join(chosen)
    try:
        number = float(text) if config.type == DOUBLE else int(text)
    except ValueError:
        raise Refused(ErrorCode.INVALID_CONFIG, f"{name}: {text!r} is no number") from None
    if number < config.least or number > (_FOREVER if config.type == LONG else 2**31 - 1):
        raise Refused(ErrorCode.INVALID_CONFIG, f"{name}: {text} lies outside its bounds")
    return text


def effective(overrides: Mapping[str, str], settings: BrokerSettings) -> TopicConfig:
    """What holds for a topic with these overrides."""

    def value(name: str) -> str:
        return overrides.get(name) or str(_BY_NAME[name].default(settings))

    policy = value("cleanup.policy").split(",")
    return TopicConfig(
        compacted="compact" in policy,
        deleted="delete" in policy,
        retention_ms=int(value("retention.ms")),
        retention_bytes=int(value("retention.bytes")),
        segment_bytes=int(value("segment.bytes")),
        segment_ms=int(value("segment.ms")),
        max_message_bytes=int(value("max.message.bytes")),
        log_append_time=value("message.timestamp.type") == "LogAppendTime",
        delete_retention_ms=int(value("delete.retention.ms")),
        min_compaction_lag_ms=int(value("min.compaction.lag.ms")),
        min_dirty_ratio=float(value("min.cleanable.dirty.ratio")),
    )
