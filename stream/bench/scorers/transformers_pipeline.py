"""A plain transformers pipeline of the same architecture: float32, one text at a time, as its manual shows.

The weights are random: speed does not depend on them, and the trained ones are shipped in another form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from models.bundle import Bundle

NAME = "transformers pipeline"
WHAT = "pipeline('text-classification'), float32, batch 1, one thread"

SHARE = 0.2
"""How many of the texts it scores, every fifth: it is slow, and its rate is what counts."""


def available() -> bool:
    """Whether the extra `train` is installed."""
    return all(find_spec(name) is not None for name in ("transformers", "torch", "onnx"))


def prepare(bundle: Bundle, texts: Sequence[str]) -> Callable[[], int]:
    """Scores some of `texts`, cut to one window."""
    # Both are typed in part only, and not in every version alike.
    torch: Any = import_module("torch")
    transformers: Any = import_module("transformers")
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    model = transformers.BertForSequenceClassification(config_of(bundle)).eval()
    limit = int(bundle.parameter("max_tokens"))
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(bundle.file("tokenizer.json")), model_max_length=limit, pad_token="[PAD]",  # noqa: S106 (a token of the vocabulary)
        model_input_names=["input_ids", "attention_mask"],
    )
    pipeline = transformers.TextClassificationPipeline(
        model=model, tokenizer=tokenizer, device="cpu", top_k=None, function_to_apply="sigmoid"
    )
    chosen = texts[:: round(1 / SHARE)]

    def score() -> int:
        for text in chosen:
            pipeline(text, truncation=True, max_length=limit)
        return len(chosen)

    return score


def config_of(bundle: Bundle) -> Any:  # noqa: ANN401 (a BertConfig, known only where transformers is installed)
    """The architecture in `bundle`, read off the shapes in model.onnx."""
    onnx: Any = import_module("onnx")
    graph = onnx.load(str(bundle.model)).graph
    shapes = {one.name: tuple(one.dims) for one in graph.initializer}
    words = shapes.get("words_8") or shapes["words"]
    ups = [shape for name, shape in shapes.items() if name.endswith(("_up_w8", "_up_w"))]
    heads = next(shape[0] for name, shape in shapes.items() if name.endswith("_key_half"))
    activation = "relu" if any(node.op_type == "Relu" for node in graph.node) else "gelu"
    return import_module("transformers").BertConfig(
        vocab_size=words[0], hidden_size=words[1], num_hidden_layers=len(ups), num_attention_heads=heads, intermediate_size=ups[0][1],
        max_position_embeddings=int(bundle.parameter("max_tokens")), num_labels=len(bundle.card.outputs), hidden_act=activation,
    )
