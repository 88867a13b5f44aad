"""Long texts cut for a model of short windows: bounded work, and nothing hides behind a long beginning or end."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from models.normalise import Normalised, normalise, trace

RAW_CHARS = 20_000
"""Characters of a message that are normalised in one piece; of a longer one, evenly spread slices are, that sum up to this."""


def slices(text: str, *, total: int, count: int) -> list[str]:
    """`text` itself if it has at most `total` characters; else `count` equally long slices of together `total` characters, evenly
    spread, the first from the head and the last up to the tail."""
    return [text[piece.start : piece.stop] for piece in _places(len(text), total=total, count=count)]


def _places(length: int, *, total: int, count: int) -> list[range]:
    """Where `slices` cuts a text of `length` characters."""
    if length <= total:
        return [range(length)]
    size = total // count
    gap = (length - size) / max(count - 1, 1)
    return [range(start, start + size) for start in (round(gap * at) for at in range(count))]


def shortened(text: str, *, max_chars: int, parts: int) -> str:
    """`text` normalised; of one too long to be read whole, `parts` evenly spread slices, joined, together about `max_chars` long."""
    # Normalising is linear, but on a hostile megabyte it still takes seconds: hence a bound before it as well.
    joined = normalise("\n".join(slices(text, total=RAW_CHARS, count=parts)))
    return "\n".join(slices(joined, total=max_chars, count=parts))


def traced(text: str, *, max_chars: int, parts: int) -> Normalised:
    """What `shortened` gives, with the origin of each character in `text`; a seam between slices comes from the character before it."""
    raw = _places(len(text), total=RAW_CHARS, count=parts)
    read = trace("\n".join(text[piece.start : piece.stop] for piece in raw))
    places = _with_seams(raw)
    kept = _with_seams(_places(len(read.text), total=max_chars, count=parts))
    return Normalised(
        "\n".join(slices(read.text, total=max_chars, count=parts)),
        [places[read.starts[at]] for at in kept],
        [places[read.ends[at] - 1] + 1 for at in kept],
    )


def _with_seams(pieces: Sequence[range]) -> list[int]:
    """The places that joined slices come from, a seam counting as the character before it."""
    return list(chain.from_iterable((*piece, piece.stop - 1) for piece in pieces))[:-1]


def windows(tokens: Sequence[int], *, size: int, count: int) -> list[Sequence[int]]:
    """`tokens` as at most `count` windows of at most `size`: evenly spread over all of it, first and last flush with the ends."""
    return [tokens[cut.start : cut.stop] for cut in cuts(len(tokens), size=size, count=count)]


def cuts(length: int, *, size: int, count: int) -> list[range]:
    """The places of `windows` over `length` tokens."""
    if length <= size:
        return [range(length)]
    needed = min(count, -(-length // size))
    gap = (length - size) / max(needed - 1, 1)
    return [range(start, start + size) for start in (round(gap * at) for at in range(needed))]
