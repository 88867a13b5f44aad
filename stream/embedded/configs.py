"""Topic configs: which the broker honours, which it keeps for clients that set them, and their defaults."""

from collections.abc import Mapping
from dataclasses import dataclass

from stream.embedded.errors import ErrorCode, RefusedError
from stream.embedded.settings import BrokerSettings

LONG, INT, STRING, BOOLEAN, LIST, DOUBLE = 5, 3, 2, 1, 7, 6  # the protocol's config types


@dataclass(frozen=True)
class Config:
    """One topic config: its type, and its default, which may be one of the broker's settings."""

    name: str
    type: int
    default: str = ""
    setting: str = ""
    least: int = 0
    choices: tuple[str, ...] = ()

    def default_in(self, settings: BrokerSettings) -> str:
        """What holds for a topic that does not set it."""
        return str(getattr(settings, self.setting)) if self.setting else self.default


_FOREVER = 9_223_372_036_854_775_807
_WEEK, _DAY = str(7 * 24 * 3600 * 1000), str(24 * 3600 * 1000)
_TRUTH = ("true", "false")

CONFIGS: tuple[Config, ...] = (
    Config("cleanup.policy", LIST, "delete", choices=("delete", "compact")),
    Config("retention.ms", LONG, setting="retention_ms", least=-1),
    Config("retention.bytes", LONG, setting="retention_bytes", least=-1),
    Config("segment.bytes", INT, setting="segment_bytes", least=1024),
    Config("segment.ms", LONG, _WEEK, least=1),
    Config("max.message.bytes", INT, setting="max_message_bytes"),
    Config("message.timestamp.type", STRING, "CreateTime", choices=("CreateTime", "LogAppendTime")),
    Config("delete.retention.ms", LONG, _DAY),
    Config("min.compaction.lag.ms", LONG, "0"),
    Config("min.cleanable.dirty.ratio", DOUBLE, "0.5"),
    # Kept and described, because clients and tools set them; a single node has no use for them.
    Config("compression.type", STRING, "producer", choices=("producer",)),
    Config("file.delete.delay.ms", LONG, "60000"),
    Config("flush.messages", LONG, str(_FOREVER)),
    Config("flush.ms", LONG, str(_FOREVER)),
    Config("index.interval.bytes", INT, setting="index_interval_bytes"),
    Config("max.compaction.lag.ms", LONG, str(_FOREVER)),
    Config("message.timestamp.after.max.ms", LONG, str(_FOREVER)),
    Config("message.timestamp.before.max.ms", LONG, str(_FOREVER)),
    Config("message.timestamp.difference.max.ms", LONG, str(_FOREVER)),
    Config("min.insync.replicas", INT, "1"),
    Config("preallocate", BOOLEAN, "false", choices=_TRUTH),
    Config("segment.index.bytes", INT, str(10 << 20)),
    Config("segment.jitter.ms", LONG, "0"),
    Config("unclean.leader.election.enable", BOOLEAN, "false", choices=_TRUTH),
)
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
    """The config's value in its usual form; `RefusedError` where the name is unknown or the value does not fit."""
    config = _BY_NAME.get(name)
    if config is None:
        raise RefusedError(ErrorCode.INVALID_CONFIG, f"unknown topic config {name}")
    if text is None:
        raise RefusedError(ErrorCode.INVALID_CONFIG, f"{name} needs a value")
    text = text.strip()
    if config.choices:
        chosen = [word.strip() for word in text.split(",")] if config.type == LIST else [text]
        if not all(word in config.choices for word in chosen):
            raise RefusedError(ErrorCode.INVALID_CONFIG, f"{name}: {text!r} is none of {', '.join(config.choices)}")
        return ",".join(chosen)
    try:
        number = float(text) if config.type == DOUBLE else int(text)
    except ValueError:
        raise RefusedError(ErrorCode.INVALID_CONFIG, f"{name}: {text!r} is no number") from None
    if number < config.least or number > (_FOREVER if config.type == LONG else 2**31 - 1):
        raise RefusedError(ErrorCode.INVALID_CONFIG, f"{name}: {text} lies outside its bounds")
    return text


def default_of(name: str, settings: BrokerSettings) -> str:
    """What holds for a topic that does not set this config; empty for a name that is none."""
    config = _BY_NAME.get(name)
    return config.default_in(settings) if config else ""


def effective(overrides: Mapping[str, str], settings: BrokerSettings) -> TopicConfig:
    """What holds for a topic with these overrides."""

    def value(name: str) -> str:
        return overrides.get(name) or _BY_NAME[name].default_in(settings)

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
