"""The broker starts where it can, says why where it cannot, and finds after a restart what it left."""

import asyncio
import os
import socket
import time
from pathlib import Path

import pytest
from confluent_kafka import Producer

from stream.embedded import BrokerSettings, BrokerStartError, EmbeddedBroker, running_broker, serve


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    with running_broker(tmp_path / "a") as first:
        port = int(first.address.split(":")[1])
        with (
            pytest.raises(BrokerStartError, match=rf"^cannot listen on 127.0.0.1:{port}: Address already in use$"),
            running_broker(tmp_path / "b", port=port),
        ):
            pass
        with running_broker(tmp_path / "b"):
            pass


def test_a_directory_serves_one_broker_at_a_time(tmp_path: Path) -> None:
    with running_broker(tmp_path):
        with pytest.raises(BrokerStartError, match="in use by another broker"), running_broker(tmp_path):
            pass
    with running_broker(tmp_path):
        pass


def test_a_directory_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BrokerStartError, match="is not writable"), running_broker(tmp_path / "file" / "data"):
        pass


async def test_an_answer_that_follows_another_is_not_held_back(tmp_path: Path) -> None:
    async with EmbeddedBroker(tmp_path) as broker:
        host, port = broker.address.split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        async with asyncio.timeout(20):
            while not broker.connections._open:  # noqa: ASYNC110 (nothing tells that it was accepted)
                await asyncio.sleep(0.01)
        (connection,) = broker.connections._open
        accepted = connection._writer.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        writer.close()


def test_addresses_beyond_loopback_need_to_be_asked_for(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "10.0.0.1", "broker.example.com"):
        with pytest.raises(BrokerStartError, match="no loopback address"), running_broker(tmp_path, host=host):
            pass
    settings = BrokerSettings(allow_remote=True, advertised_host="127.0.0.1")
    with running_broker(tmp_path, host="0.0.0.0", settings=settings) as broker:
        assert broker.address.startswith("127.0.0.1:")


@pytest.mark.parametrize("wrong", [{"fsync": "sometimes"}, {"segment_bytes": 0}, {"max_buffer_bytes": 1}])
def test_settings_that_make_no_sense_are_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        BrokerSettings(**wrong)  # type: ignore[arg-type]


def test_a_topic_half_created_is_gone_after_a_restart(tmp_path: Path) -> None:
    with running_broker(tmp_path) as broker:
        producer = Producer({"bootstrap.servers": broker.address})
        producer.produce("whole", b"v")
        producer.flush(10)
        del producer
    (tmp_path / "topics" / "half" / "0").mkdir(parents=True)
    with running_broker(tmp_path) as broker:
        assert sorted(topic.name for topic in broker.node.topics) == ["__consumer_offsets", "whole"]
    assert not (tmp_path / "topics" / "half").exists()


def test_a_damaged_description_is_one_clear_line(tmp_path: Path) -> None:
    with running_broker(tmp_path):
        pass
    (tmp_path / "topics" / "__consumer_offsets" / "topic.json").write_text("{")
    with pytest.raises(BrokerStartError, match="cannot be read"), running_broker(tmp_path):
        pass


def test_every_checksum_is_verified_at_start_if_asked_for(tmp_path: Path) -> None:
    with running_broker(tmp_path) as broker:
        producer = Producer({"bootstrap.servers": broker.address})
        for _ in range(2):
            producer.produce("t", b"v" * 100, partition=0)
            producer.flush(10)
        del producer
    (log,) = (tmp_path / "topics" / "t" / "0").glob("*.log")
    content = bytearray(log.read_bytes())
    content[-10] ^= 1
    log.write_bytes(content)
    for verify_all, end in ((False, 2), (True, 1)):
        with running_broker(tmp_path, settings=BrokerSettings(verify_all=verify_all)) as broker:
            assert broker.node.topics.log("t", 0).end == end


async def test_it_serves_inside_a_loop_until_cancelled(tmp_path: Path) -> None:
    told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(tmp_path, on_ready=told.set_result))
    host, port = (await told).split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert await reader.read() == b""
    writer.close()
    with pytest.raises(ConnectionError):
        await asyncio.open_connection(host, int(port))
    async with EmbeddedBroker(tmp_path) as again:
        assert again.address != ""


def test_an_idle_broker_uses_next_to_no_processor_time(tmp_path: Path) -> None:
    with running_broker(tmp_path) as broker:
        producer = Producer({"bootstrap.servers": broker.address})
        producer.produce("t", b"v")
        producer.flush(10)
        with socket.create_connection(("127.0.0.1", int(broker.address.split(":")[1]))):
            before, began = os.times(), time.monotonic()
            time.sleep(3)
            after = os.times()
        used = after.user + after.system - before.user - before.system
        assert used / (time.monotonic() - began) < 0.02
        del producer
