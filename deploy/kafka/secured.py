"""A node that asks who is there: a TLS listener with SASL beside the plain one, and access by ACL."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.kafka.cluster import Cluster, free_ports, running_kafka
from deploy.kafka.errors import KafkaMissingError

MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


@dataclass(frozen=True, kw_only=True)
class SecuredCluster:
    """A running node. `address` is the TLS listener, `cluster.address` the plain one, over which everybody is an administrator;
    `cafile` is the certificate to trust."""

    cluster: Cluster
    address: str
    cafile: Path


@contextmanager
def running_secured_kafka(users: Mapping[str, str]) -> Iterator[SecuredCluster]:
    """A node where `users` (name to password) log in with PLAIN, and with SCRAM once their credentials are made over the plain
    listener; what they may do is what ACLs allow, and nothing else. Raises `KafkaMissingError`, also without openssl."""
    with TemporaryDirectory(prefix="flagstream-tls-") as folder:
        key_and_certificate, certificate = _self_signed(Path(folder))
        port = free_ports(1)[0].clients
        jaas = "org.apache.kafka.common.security.{} required"
        logins = " ".join(f'user_{name}="{password}"' for name, password in users.items())
        settings = {
            "listeners": f"SASL_SSL://127.0.0.1:{port}",
            "listener.security.protocol.map": "SASL_SSL:SASL_SSL",
            "sasl.enabled.mechanisms": ",".join(MECHANISMS),
            "listener.name.sasl_ssl.plain.sasl.jaas.config": f"{jaas.format('plain.PlainLoginModule')} {logins};",
            **{
                f"listener.name.sasl_ssl.{name.lower()}.sasl.jaas.config": f"{jaas.format('scram.ScramLoginModule')};"
                for name in MECHANISMS[1:]
            },
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(key_and_certificate),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }
        with running_kafka(settings=settings) as cluster:
            yield SecuredCluster(cluster=cluster, address=f"127.0.0.1:{port}", cafile=certificate)


def _self_signed(folder: Path) -> tuple[Path, Path]:
    """A key with its certificate for 127.0.0.1 in one file, and the certificate in another."""
    openssl = shutil.which("openssl")
    if openssl is None:
        raise KafkaMissingError("no openssl to make a certificate with")
    key, certificate, both = folder / "key.pem", folder / "certificate.pem", folder / "both.pem"
    command = [
        openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    both.write_text(key.read_text() + certificate.read_text())
    return both, certificate
