"""The one place that makes onnxruntime sessions: CPU, a stated number of threads, no surprises in the log."""

from __future__ import annotations

from pathlib import Path

import onnxruntime as ort


def open_session(model: Path | bytes, *, threads: int = 1) -> ort.InferenceSession:
    """A session on the CPU that computes with `threads` threads and never spins while idle.

    One session with one thread per core beats one session with many threads. Raises onnxruntime's own error for a
    file that is no model."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    # Spinning workers would take a core from the event loop and from the other sessions.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"])
