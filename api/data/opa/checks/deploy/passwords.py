"""Secrets that are missing, short, or known to everyone, such as the defaults of our compose files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from opa.checks.deploy.check import Deployment
from opa.checks.finding import Finding
from opa.core.component_options import is_default
from opa.settings.value_files import SUFFIX, ValueFileError, read_value

KNOWN_TO_EVERYONE = frozenset(
    {
        *("mongo", "redis", "rabbitmq", "root", "flower", "guest"),  # the compose files, and RabbitMQ itself
        *("admin", "changeme", "change-me", "default", "opa", "password", "secret", "test"),
    }
)
SHORTEST_KEY = 32
"""Characters of SECRET_KEY: 128 bits, where each of them is a hexadecimal digit."""
FEWEST_DIFFERENT = 8
SHORTEST_PASSWORD = 8
"""Characters of the password of a page, which can be guessed from outside."""

FLOWER = "FLOWER_BASIC_AUTH"
_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<place>[^/?#;]*)(?P<rest>[^;]*)", re.IGNORECASE)
_WITH_PASSWORD = frozenset(
    {"redis", "rediss", "valkey", "valkeys", "sentinel", "mongodb", "mongodb+srv", "amqp", "amqps", "pyamqp"}
)
"""Schemes of servers that ask for a password, unless they are left open."""


def weak_secret_key(deployment: Deployment) -> Iterator[Finding]:
    """Whether what plugins sign can be forged."""
    key = deployment.config.SECRET_KEY
    if not key:
        problem = "is empty"
    elif key.lower() in KNOWN_TO_EVERYONE:
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


def component_passwords(deployment: Deployment) -> Iterator[Finding]:
    """A finding for each option with a server that has no password, or one that everyone knows.

    Components that the settings do not mention are not looked at: they are used only where their hosts exist.
    """
    config = deployment.config
    for name, component in config.OPTIONAL_COMPONENTS.items():
        if component["LOAD"] == "no" or (component["LOAD"] == "auto" and is_default(config, name)):
            continue
        for key, value in component["OPTS"].items():
            if isinstance(value, str) and (problem := _problem_of_option(str(key), value, component["OPTS"])):
                yield Finding(
                    f"component '{str(name).lower()}' {problem}",
                    where=f"{key}, {config.source(f'OPTIONAL_COMPONENTS.{name}.OPTS.{key}')}",
                    hint="Give the server a password, and write it here, best by a file (OPA_…__FILE)",
                )


def _problem_of_option(key: str, value: str, options: Mapping[str, Any]) -> str:
    if key.upper() == "PASSWORD":
        return _problem_of_password(value)
    has_other = any(str(other).upper() == "PASSWORD" and options[other] for other in options)
    has_other = has_other or any("CERT" in str(other).upper() for other in options)
    for url in _URL.finditer(value):
        user, _, hosts = url["place"].rpartition("@")
        password = unquote(user.partition(":")[2])
        if password and (problem := _problem_of_password(password)):
            return problem
        is_open = url["scheme"].lower() in _WITH_PASSWORD and hosts and not password
        if is_open and not has_other and "cert" not in url["rest"].lower():
            return "has no password"
    return ""


def _problem_of_password(password: str) -> str:
    if not password:
        return "has no password"
    return "has a password that everyone knows, such as the compose files' default" if _is_known(password) else ""


def _is_known(password: str) -> bool:
    return password.lower() in KNOWN_TO_EVERYONE


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
    if any(_is_known(password) or len(password) < SHORTEST_PASSWORD for password in passwords):
        problem = f"flower has a password of fewer than {SHORTEST_PASSWORD} characters, or one that everyone knows"
        yield Finding(problem, where=where, hint=hint)
