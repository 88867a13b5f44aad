"""Kafka's jars: fetched once by Maven as `pom.xml` lists them, then kept in a folder between runs."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.kafka.errors import KafkaMissingError

POM = Path(__file__).with_name("pom.xml")
FOLDER_VARIABLE = "FLAGSTREAM_KAFKA_JARS"
"""Where the jars are kept, if not under the user's cache: also a folder filled by hand, for machines without Maven."""
FETCH_TIMEOUT_S = 480.0
JAVA_AT_LEAST = 17


def version() -> str:
    """The Kafka that is started: the one place where it is pinned is the pom."""
    found = re.search(r"<kafka\.version>([^<]+)</kafka\.version>", POM.read_text())
    if found is None:
        raise KafkaMissingError(f"{POM.name} names no kafka.version")
    return found[1]


def folder() -> Path:
    """The folder that holds the jars, or will."""
    if own := os.environ.get(FOLDER_VARIABLE):
        return Path(own).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "flagstream" / f"kafka-{version()}"


def java() -> Path:
    """The java to run Kafka with: JAVA_HOME's, else the one on the path. Raises `KafkaMissingError`, also where it is too old."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin") if home else None)
    if found is None:
        raise KafkaMissingError(f"no java: Apache Kafka {version()} needs Java {JAVA_AT_LEAST} or later")
    told = subprocess.run([found, "-version"], capture_output=True, text=True, check=False, timeout=60).stderr
    major = re.search(r'version "(\d+)', told)
    if major is None or int(major[1]) < JAVA_AT_LEAST:
        raise KafkaMissingError(f"{found} is too old: Apache Kafka {version()} needs Java {JAVA_AT_LEAST} or later")
    return Path(found)


def ready_jars() -> Path:
    """The folder with the jars, fetched if they are not there yet (some 45 MB). Raises `KafkaMissingError`."""
    wanted = folder()
    if _complete(wanted):
        return wanted
    with _alone(wanted):
        if not _complete(wanted):  # somebody else fetched them while we waited
            _fetch(wanted)
    return wanted


def _complete(where: Path) -> bool:
    # The folder is moved into place when it is whole, so one jar of the right version speaks for all.
    return (where / f"kafka_2.13-{version()}.jar").is_file()


@contextmanager
def _alone(wanted: Path) -> Iterator[None]:
    try:
        wanted.parent.mkdir(parents=True, exist_ok=True)
        with wanted.with_name(f".{wanted.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise KafkaMissingError(f"cannot keep Kafka's jars in {wanted}: {error.strerror}; set {FOLDER_VARIABLE}") from error


def _fetch(wanted: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaMissingError(f"no mvn to fetch Apache Kafka {version()} with; install Maven, or put its jars into {wanted}")
    if wanted.exists() and any(wanted.iterdir()):
        raise KafkaMissingError(f"{wanted} holds other files than the jars of Kafka {version()}; set {FOLDER_VARIABLE} to another folder")
    with tempfile.TemporaryDirectory(dir=wanted.parent, prefix=f".{wanted.name}-") as scratch:
        target = Path(scratch) / "jars"
        command = [
            maven, "--batch-mode", "--quiet", "--file", str(POM), "dependency:copy-dependencies",
            "-DincludeScope=runtime", f"-DoutputDirectory={target}",
        ]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=FETCH_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise KafkaMissingError(f"Maven did not fetch Apache Kafka {version()} in {FETCH_TIMEOUT_S:.0f} s") from error
        if done.returncode != 0 or not _complete(target):
            lines = [line for line in done.stdout.splitlines() if line.startswith("[ERROR]")]
            why = lines[0].removeprefix("[ERROR]").strip() if lines else f"mvn ended with {done.returncode}"
            raise KafkaMissingError(f"Maven cannot fetch Apache Kafka {version()}: {why}")
        if wanted.exists():
            wanted.rmdir()
        target.rename(wanted)
