"""Who is let in by Flower, which can stop workers and run tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from opa._util.hosts import is_loopback
from opa.checks.deploy.door import Declared, OpenDoor
from opa.checks.deploy.guessable import is_known, why_guessed
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


def flower_password(deployment: Declared) -> Iterator[Finding]:
    """Whether Flower asks for a password, and one that is not guessed; where this is the container that serves it.

    Whom it lets in unasked is everyone who reaches its address: on loopback, the users of this machine.
    """
    environ = deployment.environ
    is_reached = deployment.mode == "flower" and not is_loopback(deployment.config.HOST)
    kind = OpenDoor if is_reached else Finding
    if environ.get(OPEN_API, "").strip().lower() in _ON:
        yield kind(
            f"{OPEN_API} is on: without a password, flower's API is for everyone and for the pages of any site",
            where=f"environment variable {OPEN_API}",
            hint="Unset it, and let clients of the API send the password",
        )
    users = environ.get(OAUTH, "")
    if users and not _lets_anyone_in(users):
        return
    named = [name for name in (FLOWER, f"{FLOWER}{SUFFIX}") if environ.get(name)]
    if named:
        yield from _weak_passwords(environ, named[0], kind)
    elif users:
        yield kind(
            f"{OAUTH} lets anyone in who has an account with the provider",
            where=f"environment variable {OAUTH}",
            hint="Name the addresses, as a@example.com|b@example.com, or a domain of your own, as .*@example.com",
        )
    elif deployment.mode == "flower":
        problem = "flower has no password, and its users can stop workers and run tasks"
        # No open door: on another address than loopback it starts with no settings, see `opa.serve.flower`.
        yield Finding(problem, where=f"environment variable {FLOWER}", hint=_HINT)


def _weak_passwords(environ: Mapping[str, str], variable: str, kind_of_known: type[Finding]) -> Iterator[Finding]:
    where = f"environment variable {variable}"
    try:
        text = read_value(environ[variable]) if variable.endswith(SUFFIX) else environ[variable]
    except ValueFileError as error:
        yield Finding(f"{FLOWER}: {error}", where=where, hint=_HINT)
        return
    users = [(user, password) for user, _, password in (pair.partition(":") for pair in text.split(","))]
    # One that everyone knows first: it is the worst.
    passwords = sorted((password for _, password in users), key=is_known, reverse=True)
    problems = (why_guessed(password, SHORTEST_PASSWORD) for password in passwords)
    if problem := next(filter(None, problems), None):
        # Where one of them is no user with a password, it starts with no settings, see `opa.serve.flower`.
        kind = kind_of_known if is_known(passwords[0]) and all(map(all, users)) else Finding
        yield kind(f"flower has a password that is guessed: it {problem}", where=where, hint=_HINT)


def _lets_anyone_in(users: str) -> bool:
    """Whether the addresses that Flower takes are those of strangers too; a star stands for any characters."""
    return any(
        "*" in domain or "+" in domain or (("*" in name or "+" in name) and domain.strip().lower() in _FOR_EVERYONE)
        for name, _, domain in (each.rpartition("@") for each in users.split("|"))
    )
