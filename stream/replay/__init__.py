"""Replay: what a model or a policy would have done with what already happened. Nothing here writes to a live topic."""
