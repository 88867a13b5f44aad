"""kcat: the command line client of many operators. It neither administers nor returns offsets; it writes, reads and joins groups."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Sequence
from itertools import groupby
from queue import SimpleQueue

from tests.conformance.client import TIMEOUT_S, Code, Compression, Record, Refused, Start
from tests.conformance.clients.polling import HEARTBEAT_MS, taken

FORMAT = "%p %o %T %K %S\n%k%s\n%h\n"
SAID = {
    "Unknown topic or partition": Code.UNKNOWN_TOPIC_OR_PARTITION,
    "Message size too large": Code.MESSAGE_TOO_LARGE,
    "Offset out of range": Code.OFFSET_OUT_OF_RANGE,
}
"""kcat says an error code in librdkafka's words."""
UNIT, RECORD = "\x1f", "\x1e"


def installed() -> bool:
    """Whether there is a kcat (Debian: package kcat)."""
    return shutil.which("kcat") is not None


class KcatMember:
    """`kcat -G`: a process that is a member until it is stopped."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._found: SimpleQueue[Record] = SimpleQueue()
        self._partitions: set[int] = set()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._listen, self._watch)]
        for thread in self._threads:
            thread.start()

    def assigned(self) -> set[int]:
        return set(self._partitions)

    def poll(self, count: int) -> list[Record]:
        return taken(self._found, count)

    def commit(self) -> None:
        """kcat commits by itself every five seconds, and when it stops."""

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join(TIMEOUT_S)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _listen(self) -> None:
        pipe = self._process.stdout
        while pipe is not None and (head := pipe.readline()):
            partition, offset, timestamp, key_size, value_size = map(int, head.split())
            key = pipe.read(max(key_size, 0))
            value = pipe.read(max(value_size, 0))
            pipe.readline()
            headers = _headers(pipe.readline().decode().rstrip("\n"))
            self._found.put(
                Record(
                    key=key if key_size >= 0 else None, value=value if value_size >= 0 else None, headers=headers,
                    timestamp_ms=timestamp, partition=partition, offset=offset,
                )
            )  # fmt: skip

    def _watch(self) -> None:
        pipe = self._process.stderr
        for line in pipe or ():
            if b"rebalanced" in line:
                text = line.decode()
                self._partitions = {int(each) for each in re.findall(r"\[(\d+)\]", text)} if "assigned:" in text else set()


class Kcat:
    """The program behind `Client`'s shape."""

    name = "kcat"

    def __init__(self, broker: str) -> None:
        self._broker = broker

    def close(self) -> None:
        """Nothing is kept between calls."""

    def produce(self, topic: str, records: Sequence[Record], *, compression: Compression = "none", idempotent: bool = False) -> list[int]:
        """kcat does not tell the offsets: they are looked up, and right while nobody else writes."""
        before = {each.partition: self._end(topic, each.partition) for each in records}
        for (partition, headers), group in groupby(records, key=lambda each: (each.partition, each.headers)):
            lines = [f"{(each.key or b'').decode()}{UNIT}{(each.value or b'').decode()}{RECORD}" for each in group]
            extra = [part for name, value in headers for part in ("-H", f"{name}={(value or b'').decode()}")]
            self._run(
                "-P", "-t", topic, "-p", str(partition), "-z", compression, "-K", UNIT, "-D", RECORD, "-Z", *extra,
                "-X", f"enable.idempotence={str(idempotent).lower()}", "-X", "acks=all", "-X", f"message.max.bytes={64 << 20}",
                "-X", f"message.timeout.ms={int(TIMEOUT_S * 1000)}", given="".join(lines).encode(),
            )  # fmt: skip
        offsets = []
        for each in records:
            offsets.append(before[each.partition])
            before[each.partition] += 1
        return offsets

    def read(self, topic: str, count: int, *, partition: int = 0, start: int | Start = "earliest", committed: bool = False) -> list[Record]:
        at = {"earliest": "beginning", "latest": "end"}[start] if isinstance(start, str) else str(start)
        isolation = f"isolation.level=read_{'committed' if committed else 'uncommitted'}"
        member = KcatMember(
            self._command(
                "-C", "-t", topic, "-p", str(partition), "-o", at, "-c", str(count), "-f", FORMAT, "-u",
                "-X", isolation, "-X", "fetch.wait.max.ms=100",
            )
        )  # fmt: skip
        try:
            return member.poll(count)
        finally:
            member.close()

    def offset_at(self, topic: str, timestamp_ms: int, *, partition: int = 0) -> int | None:
        said = self._run("-Q", "-t", f"{topic}:{partition}:{timestamp_ms}").decode()
        found = re.search(r"offset (-?\d+)", said)
        return int(found[1]) if found and int(found[1]) >= 0 else None

    def partitions(self, topic: str) -> int:
        described = json.loads(self._run("-L", "-J", "-t", topic))["topics"][0]
        if "error" in described:
            raise _refused(described["error"])
        return len(described["partitions"])

    def join(self, group: str, topic: str, *, instance: str | None = None, session_ms: int = 10_000) -> KcatMember:
        static = ["-X", f"group.instance.id={instance}"] if instance else []
        return KcatMember(
            self._command(
                "-G", group, "-f", FORMAT, "-u", *static, "-X", f"session.timeout.ms={session_ms}",
                "-X", f"heartbeat.interval.ms={HEARTBEAT_MS}", "-X", "auto.offset.reset=earliest", "-X", "fetch.wait.max.ms=100", topic,
            )
        )  # fmt: skip

    def _end(self, topic: str, partition: int) -> int:
        found = re.search(r"offset (-?\d+)", self._run("-Q", "-t", f"{topic}:{partition}:-1").decode())
        return int(found[1]) if found else -1

    def _command(self, mode: str, *arguments: str) -> list[str]:
        # Options that take a value come after the mode; -G takes the group and ends with its topics.
        return ["kcat", "-b", self._broker, mode, *arguments]

    def _run(self, *arguments: str, given: bytes = b"") -> bytes:
        done = subprocess.run(self._command(*arguments), input=given, capture_output=True, check=False, timeout=TIMEOUT_S * 2)
        if done.returncode or b"ERROR" in done.stderr or b"Delivery failed" in done.stderr:
            raise _refused(done.stderr.decode())
        return done.stdout


def _refused(text: str) -> Refused:
    code = next((code for words, code in SAID.items() if words in text), None)
    return Refused(code if code is not None else -1, text.strip())


def _headers(text: str) -> tuple[tuple[str, bytes | None], ...]:
    pairs = [pair.partition("=") for pair in text.split(",") if pair]
    return tuple((name, None if value == "NULL" else value.encode()) for name, _, value in pairs)
