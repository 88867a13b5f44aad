"""What a worker found out about a run of records of one part, as it is written to the run's own topic and read back.

```
header   one line of JSON: {"v": 1, "offsets", "seen", "rows", "names", "faults": [[offset, text]], "flags": [[offset, bytes]], "cpu_s", "currencies"}
offsets  i64 each: all records, those that only rebuild the state too
seen     (offset i64, entity u64, epoch ms i64) each: when accounts paid, to tell new ones
rows     as `rows.row_type` says; segments are coded by `names`
flags    their JSON, one after the other
```"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from stream.errors import StreamError
from stream.replay.rows import Rows

SEEN = np.dtype([("offset", "<i8"), ("entity", "<u8"), ("at_ms", "<i8")])
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Slice:
    """Records of one part in order of their offsets; `rows`, `faults` and `flags` are of those that count."""

    offsets: NDArray[np.int64]
    seen: NDArray[np.void]
    rows: Rows
    names: dict[str, list[str]]
    faults: Sequence[tuple[int, str]]
    flags: Sequence[tuple[int, bytes]]
    cpu_s: float
    currencies: Sequence[str] = ()
    """Of the rows, one each; empty for messages."""

    def to_bytes(self) -> bytes:
        """As it is kept."""
        header = {
            "v": VERSION, "offsets": len(self.offsets), "seen": len(self.seen), "rows": len(self.rows), "names": self.names,
            "faults": self.faults, "flags": [(offset, len(flag)) for offset, flag in self.flags], "cpu_s": self.cpu_s, "currencies": self.currencies,
        }
        arrays = (self.offsets.astype("<i8").tobytes(), self.seen.tobytes(), self.rows.tobytes())
        return b"".join((json.dumps(header).encode(), b"\n", *arrays, *(flag for _, flag in self.flags)))

    @classmethod
    def from_bytes(cls, raw: bytes, kind: np.dtype[np.void]) -> Self:
        """The slice that `to_bytes` gave, with rows of `kind`. Raises `StreamError` for anything else."""
        try:
            line, _, rest = raw.partition(b"\n")
            header: dict[str, Any] = json.loads(line)
            if header["v"] != VERSION:
                raise ValueError("version")
            arrays: list[Any] = []
            start = 0
            for count, dtype in ((header["offsets"], np.dtype("<i8")), (header["seen"], SEEN), (header["rows"], kind)):
                arrays.append(np.frombuffer(rest, dtype, count, start))
                start += count * dtype.itemsize
            flags = []
            for offset, size in header["flags"]:
                flags.append((offset, rest[start : start + size]))
                start += size
            if start != len(rest):
                raise ValueError("length")
            faults = [(offset, text) for offset, text in header["faults"]]
            return cls(
                offsets=arrays[0], seen=arrays[1], rows=arrays[2], names=header["names"], faults=faults, flags=flags, cpu_s=header["cpu_s"],
                currencies=header.get("currencies", ()),
            )
        except (ValueError, TypeError, KeyError) as error:
            raise StreamError("a result of the replay is damaged, or of another version; begin it anew under another name") from error
