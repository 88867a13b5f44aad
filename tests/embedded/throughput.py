"""Measures the embedded broker: `python tests/embedded/throughput.py [RECORDS]` prints one JSON document.

A broker, a producer and a consumer, each a process of its own; confluent-kafka, records of 300 bytes, one topic of four
partitions, `acks=all`, no compression. Then the broker's memory, its processor time while idle, and its start after a kill.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from confluent_kafka import Consumer, Producer

ROOT = Path(__file__).parent.parent.parent
TICK = os.sysconf("SC_CLK_TCK")


def produce(address: str, count: int) -> float:
    """Records a second."""
    producer = Producer(
        {"bootstrap.servers": address, "acks": "all", "enable.idempotence": True, "linger.ms": 20, "queue.buffering.max.messages": 500_000}
    )
    began = time.perf_counter()
    for number in range(count):
        while True:
            try:
                producer.produce("bench", b"x" * 300)
                break
            except BufferError:
                producer.poll(0.05)
        if number % 10_000 == 0:
            producer.poll(0)
    assert producer.flush(120) == 0
    return count / (time.perf_counter() - began)


def consume(address: str, count: int) -> float:
    """Records a second, from the first on."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "bench", "auto.offset.reset": "earliest", "enable.auto.commit": False})
    consumer.subscribe(["bench"])
    got, began = 0, 0.0
    while got < count:
        messages = consumer.consume(10_000, 1.0)
        if messages and not began:
            began = time.perf_counter()
        got += len(messages)
    rate = got / (time.perf_counter() - began)
    consumer.close()
    return rate


def start(folder: Path) -> tuple[subprocess.Popen[bytes], str, float]:
    """A broker's process, its address, and the seconds until it was ready, its imports included."""
    began = time.perf_counter()
    command = [sys.executable, str(ROOT / "tests" / "embedded" / "broker_process.py"), str(folder), "0", "interval", str(64 << 20)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert process.stderr
    for line in process.stderr:
        if line.startswith(b"ready "):
            return process, line.split()[1].decode(), time.perf_counter() - began
    raise RuntimeError("the broker did not start")


def seconds_used(process: subprocess.Popen[bytes]) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def resident_mb(process: subprocess.Popen[bytes]) -> float:
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def ended(process: subprocess.Popen[bytes]) -> None:
    """Kills a broker and lets go of it."""
    process.send_signal(signal.SIGKILL)
    process.communicate()


def main(count: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        process, address, _ = start(Path(folder))
        found: dict[str, float] = {"records": count, "load_average": os.getloadavg()[0]}
        before = seconds_used(process)
        for name in ("produce", "consume"):
            done = subprocess.run([sys.executable, __file__, name, address, str(count)], check=True, capture_output=True)
            found[f"{name}_records_per_s"] = round(float(done.stdout))
            used = seconds_used(process)
            found[f"{name}_broker_us_per_record"] = round((used - before) / count * 1e6, 2)
            before = used
        found["resident_mb"] = round(resident_mb(process), 1)
        time.sleep(10)
        found["idle_cpu_percent"] = round((seconds_used(process) - before) * 10, 2)
        found["log_mb"] = round(sum(path.stat().st_size for path in Path(folder).rglob("*.log")) / 2**20)
        ended(process)
        again, _, found["start_after_kill_s"] = start(Path(folder))
        found["start_after_kill_cpu_s"] = seconds_used(again)
        ended(again)
        return found


if __name__ == "__main__":
    if len(sys.argv) == 4:
        rate = {"produce": produce, "consume": consume}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
        sys.stdout.write(f"{rate}\n")
    else:
        sys.stdout.write(json.dumps(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000), indent=1) + "\n")
