"""Who is let in by Flower, which can stop workers and run tasks."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from opa._util.hosts import is_loopback
from opa.checks.deploy.door import Declared, OpenDoor
from opa.checks.deploy.guessable import is_known, why_guessed
from opa.checks.finding import Finding
from opa.settings.value_files import SUFFIX, ValueFileError, read_value

FLOWER = "FLOWER_BASIC_AUTH"
OAUTH = "FLOWER_AUTH"
OPEN_API = "FLOWER_UNAUTHENTICATED_API"
COOKIES = "FLOWER_COOKIE_SECRET"
REDIRECT, OAUTH_SECRET = "FLOWER_OAUTH2_REDIRECT_URI", "FLOWER_OAUTH2_SECRET"
SHORTEST_SECRET = 32
"""Characters of what signs the cookie, and can be guessed with a cookie at hand."""
SHORTEST_PASSWORD = 8
"""Characters of the password of a page, which can be guessed from outside."""
_PREFIX = "FLOWER_"
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


class _Option(NamedTuple):
    """What Flower is told, and where."""

    text: str
    where: str


def flower_password(deployment: Declared) -> Iterator[Finding]:
    """Whether Flower asks for a password, and one that is not guessed; where this is the container that serves it.

    Whom it lets in unasked is everyone who reaches its address: on loopback, the users of this machine.
    """
    options = _options(deployment.environ)
    is_reached = deployment.mode == "flower" and not is_loopback(deployment.config.HOST)
    kind = OpenDoor if is_reached else Finding
    if (open_api := options[OPEN_API]).text.strip().lower() in _ON:
        yield kind(
            f"{OPEN_API} is on: without a password, flower's API is for everyone and for the pages of any site",
            where=open_api.where,
            hint="Unset it, and let clients of the API send the password",
        )
    users = options[OAUTH]
    if users.text:
        yield from _weak_sign_in(options, kind)
    if users.text and not _lets_anyone_in(users.text):
        return
    named = [name for name in (FLOWER, f"{FLOWER}{SUFFIX}") if options[name].text]
    if named:
        yield from _weak_passwords(options[named[0]], named[0], kind)
    elif users.text:
        yield kind(
            f"{OAUTH} lets anyone in who has an account with the provider",
            where=users.where,
            hint="Name the addresses, as a@example.com|b@example.com, or a domain of your own, as .*@example.com",
        )
    elif deployment.mode == "flower":
        problem = "flower has no password, and its users can stop workers and run tasks"
        # No open door: on another address than loopback it starts with no settings, see `opa.serve.flower`.
        yield Finding(problem, where=options[FLOWER].where, hint=_HINT)


def _options(environ: Mapping[str, str]) -> Mapping[str, _Option]:
    """What Flower is told, by the names of variables: its file beats these."""
    found: dict[str, _Option] = defaultdict(lambda: _Option("", f"environment variable {FLOWER}"))
    variables = ((name, text) for name, text in environ.items() if name.startswith(_PREFIX))
    found.update((name, _Option(text, f"environment variable {name}")) for name, text in variables)
    file = Path(environ.get(f"{_PREFIX}CONF") or "flowerconfig.py")
    for name, text in _literals_in(file):
        found[_PREFIX + name.upper()] = _Option(text, str(file))
    return found


def _literals_in(file: Path) -> Iterator[tuple[str, str]]:
    """The names and values in a file of options that are no expressions, as they would stand in a variable."""
    try:
        statements = ast.parse(file.read_text()).body
    except (OSError, ValueError, SyntaxError, RecursionError):
        return  # Flower says what is wrong with it
    for statement in statements:
        if not isinstance(statement, ast.Assign):
            continue
        with suppress(ValueError, TypeError):
            value = ast.literal_eval(statement.value)
            text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            yield from ((target.id, text) for target in statement.targets if isinstance(target, ast.Name))


def _weak_sign_in(options: Mapping[str, _Option], kind_of_known: type[Finding]) -> Iterator[Finding]:
    """What lets in by another way whom FLOWER_AUTH does not name."""
    secret, redirect, of_provider = options[COOKIES], options[REDIRECT], options[OAUTH_SECRET]
    if secret.text and (problem := why_guessed(secret.text, SHORTEST_SECRET)):
        yield (kind_of_known if is_known(secret.text) else Finding)(
            f"{COOKIES} is guessed: it {problem}. Who knows it makes the cookie of any user",
            where=secret.where,
            hint="Unset it, and Flower draws one at each start, or set it to the output of `openssl rand -hex 32`",
        )
    if redirect.text.strip().lower().startswith("http://"):
        yield Finding(
            f"{REDIRECT} begins with http://: anyone on the way can sign in as who has just signed in",
            where=redirect.where,
            hint="Give it the https:// URL of the proxy, here and to the provider",
        )
    if is_known(of_provider.text):
        yield Finding(
            f"{OAUTH_SECRET} is a word that everyone would try",
            where=of_provider.where,
            hint="Write there the client secret that the provider shows",
        )


def _weak_passwords(given: _Option, variable: str, kind_of_known: type[Finding]) -> Iterator[Finding]:
    try:
        text = read_value(given.text) if variable.endswith(SUFFIX) else given.text
    except ValueFileError as error:
        yield Finding(f"{FLOWER}: {error}", where=given.where, hint=_HINT)
        return
    users = [(user, password) for user, _, password in (pair.partition(":") for pair in text.split(","))]
    # One that everyone knows first: it is the worst.
    passwords = sorted((password for _, password in users), key=is_known, reverse=True)
    problems = (why_guessed(password, SHORTEST_PASSWORD) for password in passwords)
    if problem := next(filter(None, problems), None):
        # Where one of them is no user with a password, it starts with no settings, see `opa.serve.flower`.
        kind = kind_of_known if is_known(passwords[0]) and all(map(all, users)) else Finding
        yield kind(f"flower has a password that is guessed: it {problem}", where=given.where, hint=_HINT)


def _lets_anyone_in(users: str) -> bool:
    """Whether the addresses that Flower takes are those of strangers too; a star stands for any characters."""
    return any(
        "*" in domain or "+" in domain or (("*" in name or "+" in name) and domain.strip().lower() in _FOR_EVERYONE)
        for name, _, domain in (each.rpartition("@") for each in users.split("|"))
    )
