"""Who is let in by Flower, which can stop workers and run tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from opa.checks.deploy.check import Deployment
from opa.checks.deploy.guessable import why_guessed
from opa.checks.finding import Finding
from opa.settings.value_files import SUFFIX, ValueFileError, read_value

FLOWER = "FLOWER_BASIC_AUTH"
OAUTH = "FLOWER_AUTH"
OPEN_API = "FLOWER_UNAUTHENTICATED_API"
SHORTEST_PASSWORD = 8
"""Characters of the password of a page, which can be guessed from outside."""
_HINT = f"Set {FLOWER}{SUFFIX} to a file with user:password, and a long password"
_ON = frozenset({"y", "yes", "t", "true", "on", "1"})
"""As Flower reads it."""
_FOR_EVERYONE = frozenset(
    {
        *("gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "msn.com", "yahoo.com", "aol.com"),
        *("icloud.com", "me.com", "proton.me", "protonmail.com", "gmx.com", "gmx.net", "gmx.de", "web.de", "mail.com"),
    }
)
"""Domains at which anyone gets an address."""


def flower_password(deployment: Deployment) -> Iterator[Finding]:
    """Whether Flower asks for a password, and one that is not guessed; where this is the container that serves it."""
    environ = deployment.environ
    if environ.get(OPEN_API, "").strip().lower() in _ON:
        yield Finding(
            f"{OPEN_API} is on: without a password, flower's API is for everyone and for the pages of any site",
            where=f"environment variable {OPEN_API}",
            hint="Unset it, and let clients of the API send the password",
        )
    users = environ.get(OAUTH, "")
    if users and not _lets_anyone_in(users):
        return
    named = [name for name in (FLOWER, f"{FLOWER}{SUFFIX}") if environ.get(name)]
    if named:
        yield from _weak_passwords(environ, named[0])
    elif users:
        yield Finding(
            f"{OAUTH} lets anyone in who has an account with the provider",
            where=f"environment variable {OAUTH}",
            hint="Name the addresses, as a@example.com|b@example.com, or a domain of your own, as .*@example.com",
        )
    elif deployment.mode == "flower":
        problem = "flower has no password, and its users can stop workers and run tasks"
        yield Finding(problem, where=f"environment variable {FLOWER}", hint=_HINT)


def _weak_passwords(environ: Mapping[str, str], variable: str) -> Iterator[Finding]:
    where = f"environment variable {variable}"
    try:
        text = read_value(environ[variable]) if variable.endswith(SUFFIX) else environ[variable]
    except ValueFileError as error:
        yield Finding(f"{FLOWER}: {error}", where=where, hint=_HINT)
        return
    problems = (why_guessed(pair.partition(":")[2], SHORTEST_PASSWORD) for pair in text.split(","))
    if problem := next(filter(None, problems), None):
        yield Finding(f"flower has a password that is guessed: it {problem}", where=where, hint=_HINT)


def _lets_anyone_in(users: str) -> bool:
    """Whether the addresses that Flower takes are those of strangers too; a star stands for any characters."""
    return any(
        "*" in domain or "+" in domain or (("*" in name or "+" in name) and domain.strip().lower() in _FOR_EVERYONE)
        for name, _, domain in (each.rpartition("@") for each in users.split("|"))
    )
