"""Log lines: events with fields, to standard error, for people or as JSON. Never a text, an account or a card number."""

from __future__ import annotations

import logging
import sys
import threading

import structlog

from stream.settings import Settings

QUIET = {
    "faust": logging.WARNING, "mode": logging.WARNING, "aiohttp": logging.WARNING,
    "aiokafka": logging.CRITICAL, "kafka": logging.CRITICAL,
}
"""Libraries whose lines would drown ours, and the least severe that is kept unless the level is debug. The Kafka clients
log each attempt to connect as an error; what comes of it is said once, by us."""


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    """One line for a client's thread that ends badly, which it may when the broker goes away while we stop."""
    log = structlog.get_logger(__name__)
    log.warning("thread.failed", error=failure.exc_type.__name__)
    log.debug("thread.failed", exc_info=failure.exc_value)


def configure(settings: Settings) -> None:
    """Set up logging for this process."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if settings.log == "json" else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
        )
    )
    threading.excepthook = _thread_failed
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, least in QUIET.items():
        logging.getLogger(name).setLevel(level if level == logging.DEBUG else max(level, least))
