"""A small transformer over a transaction's features, its card's and its terminal's last transactions: what `fraud_sequence` measures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Floats = NDArray[np.float32]
Odds = NDArray[np.float64]
CARD, TERMINAL = 16, 32
"""Transactions that are read of a card and of a terminal: eight days of the one, a month of the other."""
COLUMNS = 9
"""Numbers that are read of each; the first is 1, and 0 where there is none."""
SIZE = (CARD + TERMINAL) * COLUMNS


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Size of the network and pace of its training; chosen on the weeks for choosing."""

    width: int = 32
    heads: int = 2
    dropout: float = 0.1
    epochs: int = 6
    batch: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    legitimate_share: float = 0.2
    """Share of the legitimate rows that is trained on; the log-odds are put right for it."""
    seed: int = 0


class Block(nn.Module):
    """Attention and a feed-forward layer, each added to what was there. No dropout: it would cost more time than the attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self._heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.pair, self.out = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.forth = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))

    def forward(self, x: torch.Tensor, bias: torch.Tensor, asking: int) -> torch.Tensor:
        """[n, tokens, width] to [n, asking, width]: the first `asking` tokens after they looked at all, with `bias` on each."""
        known = self.before(x)
        query = self.query(known[:, :asking]).unflatten(-1, (self._heads, -1)).transpose(1, 2)
        key, value = self.pair(known).unflatten(-1, (2 * self._heads, -1)).transpose(1, 2).chunk(2, 1)
        seen = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        x = x[:, :asking] + self.out(seen.transpose(1, 2).flatten(2))
        out: torch.Tensor = x + self.forth(self.between(x))
        return out


class Network(nn.Module):
    """Features and both sequences in, log-odds out: the features are the token that looks at the others."""

    def __init__(self, features: int, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.now = nn.Sequential(
            nn.Linear(features, 2 * width), nn.ReLU(), nn.Dropout(shape.dropout), nn.Linear(2 * width, width), nn.Dropout(shape.dropout)
        )
        self.card, self.terminal = nn.Linear(COLUMNS, width), nn.Linear(COLUMNS, width)
        self.places = nn.Parameter(0.02 * torch.randn(1 + CARD + TERMINAL, width))
        self.first, self.last = Block(width, shape.heads), Block(width, shape.heads)
        self.norm, self.top = nn.LayerNorm(2 * width), nn.Linear(2 * width, 1)

    def forward(self, features: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """[n, features] and [n, SIZE] to [n]."""
        pairs = tokens.unflatten(1, (CARD + TERMINAL, COLUMNS))
        now = self.now(features)
        x = torch.cat([now[:, None], self.card(pairs[:, :CARD]), self.terminal(pairs[:, CARD:])], 1) + self.places
        # A large number, not infinity: what is missing has no weight beside the token that is always there.
        bias = nn.functional.pad((pairs[:, :, 0] - 1) * 1e4, (1, 0))[:, None, None]
        x = self.last(self.first(x, bias, x.shape[1]), bias, 1)
        out: torch.Tensor = self.top(self.norm(torch.cat([x[:, 0], now], 1)))[:, 0]
        return out


@dataclass(frozen=True, slots=True)
class Numbers:
    """How features become a network's inputs: signed logarithms of mean 0 and spread 1, and beside each whether it is unknown."""

    mean: Floats
    spread: Floats

    @classmethod
    def of(cls, rows: Floats) -> Numbers:
        """Fitted to [n, features] rows."""
        logs = np.sign(rows) * np.log1p(np.abs(rows))
        known = np.maximum((~np.isnan(logs)).sum(0), 1)
        mean = np.nansum(logs, 0) / known
        spread = np.sqrt(np.nansum((logs - mean) ** 2, 0) / known) + 1e-3
        return cls(mean.astype(np.float32), spread.astype(np.float32))

    def __call__(self, rows: Floats) -> Floats:
        """[n, features] to [n, 2 · features]."""
        logs = (np.sign(rows) * np.log1p(np.abs(rows)) - self.mean) / self.spread
        return np.concatenate([np.nan_to_num(logs), np.isnan(rows)], 1).astype(np.float32)


class Model:
    """A fitted network: features and sequences to log-odds."""

    def __init__(self, network: Network, numbers: Numbers, offset: float) -> None:
        self._network = network.eval()
        self._numbers = numbers
        self._offset = offset

    def log_odds(self, rows: Floats, tokens: NDArray[np.float16]) -> Odds:
        """Of [n, features] rows and [n, SIZE] tokens, [n]."""
        found = [np.empty(0)]
        with torch.inference_mode():
            for start in range(0, len(rows), 2048):
                part = slice(start, start + 2048)
                found.append(self._network(torch.from_numpy(self._numbers(rows[part])), torch.from_numpy(tokens[part]).float()).double().numpy())
        return np.concatenate(found) + self._offset


def fit(rows: Floats, tokens: NDArray[np.float16], labels: NDArray[np.int8], shape: Shape) -> Model:
    """The network of [n, features] rows, [n, SIZE] tokens and n labels. The same data and seed give the same network."""
    # Threads would wait for each other longer than they work on matrices this small.
    torch.set_num_threads(1)
    chance = np.random.default_rng(shape.seed)
    kept = np.flatnonzero((labels == 1) | (chance.random(len(labels)) < shape.legitimate_share))
    numbers = Numbers.of(rows[kept])
    features, truth = torch.from_numpy(numbers(rows[kept])), torch.from_numpy(labels[kept].astype(np.float32))
    pasts = torch.from_numpy(tokens[kept])
    torch.manual_seed(shape.seed)
    network = Network(features.shape[1], shape)
    steps = shape.epochs * -(-len(kept) // shape.batch)
    optimizer = torch.optim.AdamW(network.parameters(), lr=shape.learning_rate, weight_decay=shape.weight_decay)
    pace = torch.optim.lr_scheduler.OneCycleLR(optimizer, shape.learning_rate, total_steps=steps, pct_start=0.15)
    for _ in range(shape.epochs):
        for batch in torch.from_numpy(chance.permutation(len(kept))).split(shape.batch):
            guess = network(features[batch], pasts[batch].float())
            loss = nn.functional.binary_cross_entropy_with_logits(guess, truth[batch])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            pace.step()
    return Model(network, numbers, float(np.log(shape.legitimate_share)))
