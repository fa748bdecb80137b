"""Whether SECRET_KEY is one that nobody can guess."""

from __future__ import annotations

from collections.abc import Iterator

from opa.checks.deploy.check import Deployment
from opa.checks.deploy.known import is_known
from opa.checks.finding import Finding

SHORTEST_KEY = 32
"""Characters: 128 bits, where each of them is a hexadecimal digit."""
FEWEST_DIFFERENT = 8


def weak_secret_key(deployment: Deployment) -> Iterator[Finding]:
    """Whether what plugins sign can be forged."""
    key = deployment.config.SECRET_KEY
    if not key:
        problem = "is empty"
    elif is_known(key):
        problem = "is a word that everyone would try"
    elif len(key) < SHORTEST_KEY:
        problem = f"has fewer than {SHORTEST_KEY} characters"
    elif len(set(key)) < FEWEST_DIFFERENT:
        problem = f"has fewer than {FEWEST_DIFFERENT} different characters"
    else:
        return
    yield Finding(
        f"SECRET_KEY {problem}: what a plugin signs with it can be forged",
        where=deployment.config.source("SECRET_KEY"),
        hint="Set it to the output of `openssl rand -hex 32`, best by OPA_SECRET_KEY__FILE",
    )
