"""A contender in its own process: `python -m stream.bench.child MODULE JOB RESULT`."""

from __future__ import annotations

import importlib
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from stream.bench.job import Job


def main(module: str, job_json: str, result: str) -> None:
    """Run the contender in `module` here, and write what it needed to `result`."""
    job = Job(**json.loads(job_json))
    if job.cpu is not None:
        os.sched_setaffinity(0, {job.cpu})
    drained = importlib.import_module(module).drain(job)
    Path(result).write_text(json.dumps(asdict(drained)))


if __name__ == "__main__":
    main(*sys.argv[1:])
