"""`python -m deploy.kafka [--nodes 3] [--port 9092] [--data DIR]`: Apache Kafka on loopback until Ctrl-C."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from deploy.kafka.cluster import running_kafka
from deploy.kafka.errors import KafkaError
from deploy.kafka.jars import version


def main(
    nodes: Annotated[int, typer.Option(help="1, or 3 with replication 3 and min.insync.replicas 2", min=1, max=5)] = 1,
    port: Annotated[int, typer.Option(help="the first node's port; 0 takes a free one", min=0, max=65535)] = 0,
    data: Annotated[Path | None, typer.Option(help="folder to keep the data in; else it is gone at the end")] = None,
) -> None:
    """Fetch Apache Kafka (once), start it on 127.0.0.1, print `ready HOST:PORT`, and stop it at Ctrl-C or SIGTERM."""
    typer.echo(f"Apache Kafka {version()} is starting", err=True)
    # SIGTERM would end the launcher and leave Java behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with running_kafka(nodes=nodes, port=port, data=data) as cluster:
            typer.echo(f"ready {cluster.address}")
            signal.pause()
    except KafkaError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)


if __name__ == "__main__":
    typer.run(main)
