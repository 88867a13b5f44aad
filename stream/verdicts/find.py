"""A flag by its id, from the topic of flags: the newest are looked at first."""

from __future__ import annotations

from dataclasses import replace

from schemas.codec import Record, decode
from schemas.flag import Flag
from stream.names import Names
from stream.replay.topic import open_topic
from stream.settings import Settings

FIRST_STRETCH = 20_000
"""Records of each partition that are looked at first; each further stretch is as long as all before it."""
READ = 4_000


def find_flag(settings: Settings, flag_id: str) -> Flag | None:
    """The flag, or None when the topic does not hold it (any more). Raises `BrokerError`, `UsageError` without such a topic."""
    source = open_topic(settings, Names(settings.prefix).wire("flags"))
    wanted = flag_id.encode("utf-8", "surrogatepass")
    stretch = FIRST_STRETCH
    left = list(source.parts)
    while left := [part for part in left if part.end > part.start]:
        for place, part in enumerate(left):
            begin = max(part.start, part.end - stretch)
            for records in source.batches(part, size=READ, begin=begin):
                for raw in records:
                    # Most are told apart by their bytes, without reading them.
                    if raw.value is not None and wanted in raw.value:
                        read = decode(Flag, raw)
                        if isinstance(read, Record) and read.body.id == flag_id:
                            return read.body
            left[place] = replace(part, end=begin)
        stretch *= 2
    return None
