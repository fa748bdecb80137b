"""Whether SECRET_KEY is one that nobody can guess."""

from __future__ import annotations

from collections.abc import Iterator

from opa.checks.deploy.check import Deployment
from opa.checks.deploy.guessable import why_guessed
from opa.checks.finding import Finding

SHORTEST_KEY = 32
"""Characters: 128 bits, where each of them is a hexadecimal digit."""


def weak_secret_key(deployment: Deployment) -> Iterator[Finding]:
    """Whether what plugins sign can be forged."""
    key = deployment.config.SECRET_KEY
    problem = why_guessed(key, SHORTEST_KEY) if key else "is empty"
    if problem:
        yield Finding(
            f"SECRET_KEY {problem}: what a plugin signs with it can be forged",
            where=deployment.config.source("SECRET_KEY"),
            hint="Set it to the output of `openssl rand -hex 32`, best by OPA_SECRET_KEY__FILE",
        )
