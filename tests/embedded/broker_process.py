"""Runs a broker until it is killed: `python broker_process.py DIR PORT FSYNC SEGMENT_BYTES`; prints `ready HOST:PORT`."""

import asyncio
import sys
from pathlib import Path

from stream.embedded import BrokerSettings, serve


def tell(address: str) -> None:
    sys.stderr.write(f"ready {address}\n")


if __name__ == "__main__":
    folder, port, fsync, segment_bytes = sys.argv[1:5]
    settings = BrokerSettings(fsync=fsync, segment_bytes=int(segment_bytes))  # type: ignore[arg-type]
    asyncio.run(serve(Path(folder), port=int(port), settings=settings, on_ready=tell))
