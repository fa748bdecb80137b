"""Who is let in by Flower, which can stop workers and run tasks."""

from __future__ import annotations

from collections.abc import Iterator

from opa.checks.deploy.check import Deployment
from opa.checks.deploy.known import is_known
from opa.checks.finding import Finding
from opa.settings.value_files import SUFFIX, ValueFileError, read_value

FLOWER = "FLOWER_BASIC_AUTH"
SHORTEST_PASSWORD = 8
"""Characters of the password of a page, which can be guessed from outside."""


def flower_password(deployment: Deployment) -> Iterator[Finding]:
    """Whether Flower asks for a password, and one that is not guessed; where this is the container that serves it."""
    environ = deployment.environ
    named = [name for name in (FLOWER, f"{FLOWER}{SUFFIX}") if environ.get(name)]
    if deployment.mode != "flower" and not named:
        return
    if environ.get("FLOWER_AUTH"):
        return
    where = f"environment variable {named[0] if named else FLOWER}"
    hint = f"Set {FLOWER}{SUFFIX} to a file with user:password, and a long password"
    try:
        text = environ.get(FLOWER) or (read_value(environ[named[0]]) if named else "")
    except ValueFileError as error:
        yield Finding(f"{FLOWER}: {error}", where=where, hint=hint)
        return
    if not text:
        problem = "flower has no password, and its users can stop workers and run tasks"
        yield Finding(problem, where=where, hint=hint)
    passwords = [pair.partition(":")[2] for pair in text.split(",")] if text else []
    if any(is_known(password) or len(password) < SHORTEST_PASSWORD for password in passwords):
        problem = f"flower has a password of fewer than {SHORTEST_PASSWORD} characters, or one that everyone knows"
        yield Finding(problem, where=where, hint=hint)
