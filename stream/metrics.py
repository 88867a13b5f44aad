"""Every metric of the worker, declared once: its meaning, and labels whose values are bounded by our own tables."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

RECORDS = Counter("flagstream_records", "records judged, by input topic", ["topic"], registry=REGISTRY)
REDELIVERED = Counter("flagstream_redelivered", "records skipped because they were applied before", ["topic"], registry=REGISTRY)
TOO_LATE = Counter("flagstream_late_verdicts", "verdicts on transactions of more than 45 days before, which count for nothing", registry=REGISTRY)
REPEATED = Counter("flagstream_repeated_texts", "messages whose very text was scored shortly before, and not again", registry=REGISTRY)
CLEARED = Counter("flagstream_cleared_texts", "messages that the first model cleared, and the model did not read", registry=REGISTRY)
FLAGS = Counter("flagstream_flags", "flags published, by their first label and decision", ["label", "decision"], registry=REGISTRY)
DEAD_LETTERS = Counter("flagstream_dead_letters", "dead letters published, by input topic", ["topic"], registry=REGISTRY)
STALE = Counter("flagstream_stale_batches", "batches dropped as their partitions went away; they come again", ["topic"], registry=REGISTRY)
BATCH = Histogram(
    "flagstream_batch_records", "records in a batch", ["topic"], registry=REGISTRY, buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
)
SCORE = Histogram(
    "flagstream_score_seconds", "time of a batch inside its agent", ["topic"], registry=REGISTRY,
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
LATENCY = Histogram(
    "flagstream_latency_seconds", "from append of an event to the acknowledgement of all it caused", ["topic"], registry=REGISTRY,
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60),
)
PRECISION = Gauge("flagstream_precision", "share of the latest flags with a verdict that it confirms", ["label"], registry=REGISTRY)
VERDICTS = Gauge("flagstream_verdicts", "latest flags with a verdict, by what it says", ["label", "outcome"], registry=REGISTRY)
VERDICT_FLAGS = Gauge("flagstream_verdict_flags", "latest flags that are remembered", registry=REGISTRY)
VERDICTS_EARLY = Gauge("flagstream_verdicts_unjoined", "events with a verdict whose flag is not remembered", registry=REGISTRY)
QUEUED = Gauge("flagstream_queued_records", "records fetched and waiting for their agent", ["topic"], registry=REGISTRY)

# Of the actions service; a sink is named in its rules file.
ACTIONS = Counter(
    "flagstream_actions", "flags that a sink is done with, by outcome: delivered or dead_letter", ["sink", "outcome"], registry=REGISTRY
)
ACTION_ATTEMPTS = Counter(
    "flagstream_action_attempts", "attempts to hand a flag to a sink, by outcome: delivered, again or refused", ["sink", "outcome"],
    registry=REGISTRY,
)
ACTION_SECONDS = Histogram(
    "flagstream_action_seconds", "time of one attempt", ["sink"], registry=REGISTRY,
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)
ACTION_LATENCY = Histogram(
    "flagstream_action_latency_seconds", "from publication of a flag to its delivery to a sink", ["sink"], registry=REGISTRY,
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60, 600, 3600),
)
ACTION_HELD = Gauge("flagstream_action_held", "flags in memory for a sink", ["sink"], registry=REGISTRY)
ACTION_LAG = Gauge("flagstream_action_lag", "flags after the first that a sink is not done with", ["sink"], registry=REGISTRY)
ACTION_BREAKER = Gauge("flagstream_action_breaker_open", "1 while a sink is left alone because it fails", ["sink"], registry=REGISTRY)
ACTION_UNREADABLE = Counter("flagstream_action_unreadable", "records of the flags topic that are no flag", ["sink"], registry=REGISTRY)
