"""One thread for numpy's linear algebra: on a busy machine threads that wait for each other make small matrices fifty times slower."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np


@contextmanager
def one_thread() -> Iterator[None]:
    """Sets the OpenBLAS that numpy's wheels bring to one thread, and back again; does nothing where numpy has another library, whose
    own environment variable sets it."""
    # The variable OPENBLAS_NUM_THREADS is read when numpy is loaded, which is too late here.
    for path in (Path(np.__file__).parent.parent / "numpy.libs").glob("libscipy_openblas*"):
        library = ctypes.CDLL(str(path))
        for suffix in ("64_", ""):
            if hasattr(library, f"scipy_openblas_set_num_threads{suffix}"):
                threads = int(library[f"scipy_openblas_get_num_threads{suffix}"]())
                library[f"scipy_openblas_set_num_threads{suffix}"](1)
                try:
                    yield
                finally:
                    library[f"scipy_openblas_set_num_threads{suffix}"](threads)
                return
    yield
