"""Offsets by time: the first record of a log that is as young as asked, found inside its batch."""

from stream.embedded import batch
from stream.embedded.compression import UnreadableBatchError
from stream.embedded.log import PartitionLog
from stream.eventlog import get_logger

logger = get_logger(__name__)


def first_at(log: PartitionLog, timestamp: int) -> tuple[int, int] | None:
    """Offset and timestamp (ms) of the first record not older than `timestamp`, or None; times need not be in order."""
    for segment in log.segments:
        if segment.max_timestamp < timestamp:
            continue
        for view, header in segment.batches(segment.position_of_time(timestamp)):
            if header.max_timestamp >= timestamp and header.last_offset >= log.start:
                found = _first_in(bytes(view), header, timestamp, log.start)
                if found is not None:
                    return found
    return None


def youngest(log: PartitionLog) -> tuple[int, int] | None:
    """Offset and timestamp of the first record with the largest timestamp, or None in an empty log."""
    largest = max((segment.max_timestamp for segment in log.segments if segment.size), default=-1)
    return first_at(log, largest) if largest >= 0 else None


def _first_in(whole: bytes, header: batch.Header, timestamp: int, start: int) -> tuple[int, int] | None:
    try:
        for record in batch.records(whole):
            if record.timestamp >= timestamp and record.offset >= start:
                return record.offset, record.timestamp
    except (UnreadableBatchError, IndexError) as error:  # the batch came over the wire; its bounds still answer
        logger.warning("log.batch_unreadable", offset=header.base_offset, error=type(error).__name__)
        return max(header.base_offset, start), header.max_timestamp
    return None
