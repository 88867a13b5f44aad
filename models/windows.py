"""Long texts cut for a model of short windows: bounded work, and nothing hides behind a long beginning or end."""

from __future__ import annotations

from collections.abc import Sequence

from models.normalise import normalise

RAW_CHARS = 20_000
"""Characters of a message that are normalised in one piece; of a longer one, evenly spread slices are, that sum up to this."""


def slices(text: str, *, total: int, count: int) -> list[str]:
    """`text` itself if it has at most `total` characters; else `count` equally long slices of together `total` characters, evenly
    spread, the first from the head and the last up to the tail."""
    if len(text) <= total:
        return [text]
    size = total // count
    gap = (len(text) - size) / max(count - 1, 1)
    return [text[start : start + size] for start in (round(gap * at) for at in range(count))]


def shortened(text: str, *, max_chars: int, parts: int) -> str:
    """`text` normalised; of one too long to be read whole, `parts` evenly spread slices, joined, together about `max_chars` long."""
    # Normalising is linear, but on a hostile megabyte it still takes seconds: hence a bound before it as well.
    joined = normalise("\n".join(slices(text, total=RAW_CHARS, count=parts)))
    return "\n".join(slices(joined, total=max_chars, count=parts))


def windows(tokens: Sequence[int], *, size: int, count: int) -> list[Sequence[int]]:
    """`tokens` as at most `count` windows of at most `size`: evenly spread over all of it, first and last flush with the ends."""
    if len(tokens) <= size:
        return [tokens]
    needed = min(count, -(-len(tokens) // size))
    gap = (len(tokens) - size) / max(needed - 1, 1)
    return [tokens[start : start + size] for start in (round(gap * at) for at in range(needed))]
