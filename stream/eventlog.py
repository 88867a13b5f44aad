"""Log events of the parts that other programs use: the embedded broker, the subscriber.

A library is quiet until its program sets up logging. structlog prints to standard output where nobody has configured it, so
until then events go to the standard library's loggers under `stream`: there they are dropped, or shown as the program's own
logging says. Once structlog is configured, by this project's commands or by the program, events go there with their fields.
"""

from __future__ import annotations

import logging

import structlog

logging.getLogger("stream").addHandler(logging.NullHandler())


class EventLog:
    """Events of one module. Fields hold what a log may show: never a text, an account or a card number."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._plain = logging.getLogger(name)

    def debug(self, event: str, **fields: object) -> None:
        """For whoever looks for a fault."""
        self._say("debug", event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Something that is meant to happen has happened."""
        self._say("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Something to look at; work goes on."""
        self._say("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Something was not done that should have been."""
        self._say("error", event, fields)

    def exception(self, event: str, **fields: object) -> None:
        """A fault of ours, with the traceback of the exception in hand."""
        self._say("exception", event, fields)

    def _say(self, method: str, event: str, fields: dict[str, object]) -> None:
        if structlog.is_configured():
            # Not kept: structlog may be configured anew, and a logger that was kept would not know.
            getattr(structlog.get_logger(self._name), method)(event, **fields)
        else:
            said = "".join(f" {name}={value!r}" for name, value in fields.items())
            getattr(self._plain, method)("%s%s", event, said)


def get_logger(name: str) -> EventLog:
    """The event log of a module, by its `__name__`."""
    return EventLog(name)
