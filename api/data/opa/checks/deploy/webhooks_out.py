"""What is wrong with the webhooks in WEBHOOKS_OUT."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from opa._util.hosts import is_loopback
from opa.checks.deploy.check import Deployment
from opa.checks.deploy.guessable import why_guessed
from opa.checks.finding import Finding
from opa.settings.config import Config
from opa.settings.webhooks_out import PREFIX, bytes_of

SHORTEST, SHORTEST_TEXT = 24, 16
"""Bytes of a secret, by Standard Webhooks, and characters that what stands for them has in any case."""


def webhooks_without_tls(deployment: Deployment) -> Iterator[Finding]:
    """A finding for each webhook that is posted in plain text, and not to this machine."""
    for name, webhook in deployment.config.WEBHOOKS_OUT.items():
        parts = urlsplit(webhook["URL"])
        if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            yield Finding(
                f"the events of the webhook '{name}' are posted in plain text: anyone on the way reads them",
                where=deployment.config.source(f"WEBHOOKS_OUT.{name}.URL"),
                hint="Give it the https:// URL of the receiver",
            )


def weak_secrets_of_outgoing(config: Config) -> Iterator[Finding]:
    """A finding for each webhook whose secret is guessed: anyone can make up events with it."""
    for name, webhook in config.WEBHOOKS_OUT.items():
        if problem := next(filter(None, map(_problem, webhook["SECRET"])), None):
            yield Finding(
                f"the secret of the webhook '{name}' is guessed: it {problem}. Who knows it makes up events",
                where=config.source(f"WEBHOOKS_OUT.{name}.SECRET"),
                hint=f'Give it the output of `echo "{PREFIX}$(openssl rand -base64 32)"`, here and there',
            )


def _problem(secret: str) -> str | None:
    text = secret.removeprefix(PREFIX)
    key = bytes_of(secret)
    if len(key) < SHORTEST:
        return f"has fewer than {SHORTEST} bytes"
    # As text, where a password is percent-encoded.
    return why_guessed(text, SHORTEST_TEXT) or why_guessed(key.decode("latin-1"), SHORTEST_TEXT)
