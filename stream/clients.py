"""How each Kafka client is told where the broker is and how to log in: one set of settings, three spellings."""

from __future__ import annotations

import ssl
from typing import Any

import faust

from stream.errors import UsageError
from stream.settings import Settings


def tls(settings: Settings) -> ssl.SSLContext | None:
    """The TLS context of the settings, or None for a plain connection. Raises `UsageError` for files that cannot be used."""
    if not settings.security_protocol.endswith("SSL"):
        return None
    try:
        context = ssl.create_default_context(cafile=None if settings.ssl_cafile is None else str(settings.ssl_cafile))
        if settings.ssl_certfile is not None:
            context.load_cert_chain(settings.ssl_certfile, settings.ssl_keyfile)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"TLS: cannot use the certificates ({error}); see FLAGSTREAM_SSL_CAFILE, …_CERTFILE, …_KEYFILE") from error
    return context


def _login(settings: Settings, user: str, password: str) -> dict[str, Any]:
    if not settings.security_protocol.startswith("SASL"):
        return {}
    if settings.sasl_username is None or settings.sasl_password is None:
        raise UsageError(f"{settings.security_protocol} needs FLAGSTREAM_SASL_USERNAME and FLAGSTREAM_SASL_PASSWORD")
    return {
        "sasl_mechanism": settings.sasl_mechanism,
        user: settings.sasl_username,
        password: settings.sasl_password.get_secret_value(),
    }


def aiokafka_options(settings: Settings) -> dict[str, Any]:
    """Keyword arguments for aiokafka's clients."""
    return {
        "bootstrap_servers": settings.need_broker(),
        "security_protocol": settings.security_protocol,
        "ssl_context": tls(settings),
        **_login(settings, "sasl_plain_username", "sasl_plain_password"),
    }


def kafka_python_options(settings: Settings) -> dict[str, Any]:
    """Keyword arguments for kafka-python's clients."""
    return {
        "bootstrap_servers": settings.need_broker().split(","),
        "security_protocol": settings.security_protocol,
        "ssl_context": tls(settings),
        **_login(settings, "sasl_plain_username", "sasl_plain_password"),
    }


def faust_credentials(settings: Settings) -> faust.auth.Credentials | None:
    """Faust's credentials, or None for a plain connection."""
    context = tls(settings)
    login = _login(settings, "username", "password")
    if login:
        mechanism = login.pop("sasl_mechanism")
        return faust.SASLCredentials(mechanism=mechanism, ssl_context=context, **login)
    return None if context is None else faust.SSLCredentials(context)
