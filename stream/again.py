"""A worker whose Kafka client has given up begins anew: as a new program in the same process, so that no thread, lock or connection
of the old one is left, and whatever supervises the process sees none of it."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import NoReturn

import structlog

from stream import topics
from stream.errors import StreamError
from stream.settings import Settings

log = structlog.get_logger(__name__)
PAUSE_S = 2.0


def begin_anew(settings: Settings, reason: str) -> NoReturn:
    """Wait until the broker answers, then run the same command line again. SIGTERM meanwhile is a clean end."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    log.warning("worker.again", reason=reason, hint="nothing is lost: what was not committed is delivered again")
    while True:
        time.sleep(PAUSE_S)
        try:
            topics.partition_counts(settings)
            break
        except StreamError as error:
            log.info("worker.broker_away", error=str(error))
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 (our own command line, as it was given)
