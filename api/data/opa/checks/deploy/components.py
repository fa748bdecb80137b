"""Whether the servers of components ask for a password, and one that is not guessed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from opa.checks.deploy.addresses import options_beside, options_in_url, urls_in, used_components
from opa.checks.deploy.door import Declared, OpenDoor
from opa.checks.deploy.guessable import is_known, why_guessed
from opa.checks.deploy.tls import has_client_certificate
from opa.checks.finding import Finding
from opa.settings.envs import current_envs

if TYPE_CHECKING:
    from opa.settings.config import Config

_WITH_PASSWORD = frozenset(
    {"redis", "rediss", "valkey", "valkeys", "sentinel", "mongodb", "mongodb+srv", "amqp", "amqps", "pyamqp"}
)
"""Schemes of servers that ask for a password, unless they are left open."""
_PASSWORDS = frozenset({"PASSWORD", "BROKER_PASSWORD", "BACKEND_PASSWORD"})
"""Options with a password that stands beside its URL."""
KNOWN = "has a password that everyone knows, such as the compose files' default"
SHORTEST_PASSWORD = 12
"""Characters: redis and the like answer to a hundred thousand guesses a second."""


def component_passwords(deployment: Declared) -> Iterator[Finding]:
    """A finding for each option with a server that has no password, or one that is guessed.

    One that everyone knows is an open door where ENV says that this is more than a try on one machine.
    """
    config = deployment.config
    for name, options in used_components(config):
        for key, value in options.items():
            if problem := _problem_of_option(config, str(key), value, options):
                kind = OpenDoor if problem == KNOWN and current_envs() else Finding
                yield kind(
                    f"component '{name.lower()}' {problem}",
                    where=f"{key}, {config.source(f'OPTIONAL_COMPONENTS.{name}.OPTS.{key}')}",
                    hint="Give the server a password, and write it here, best by a file (OPA_…__FILE)",
                )


def _problem_of_option(config: Config, key: str, value: Any, options: Mapping[str, Any]) -> str:
    """What is wrong with the passwords of an option; `options` are all of the component."""
    by_name = {str(name).upper(): option for name, option in options.items()}
    if key.upper() in _PASSWORDS:
        is_of_url = value is None or (value == "" and any(name.endswith("URL") for name in by_name))
        return "" if is_of_url else _problem_of_password(str(value))
    if any(by_name.get(name) for name in ("PASSWORD", f"{key.upper().removesuffix('URL')}PASSWORD")):
        return ""  # it is used in the place of those in the URL
    has_other = has_client_certificate(options_beside(config, key, options))
    for url in urls_in(value):
        user, _, hosts = url["place"].rpartition("@")
        parameters = options_in_url(url)
        # As redis-py reads it.
        password = unquote(user.partition(":")[2]) or dict(parameters).get("password", "")
        if password and (problem := _problem_of_password(password)):
            return problem
        is_open = url["scheme"].lower() in _WITH_PASSWORD and hosts and not password
        if is_open and not has_other and not has_client_certificate(parameters):
            return "has no password"
    return ""


def _problem_of_password(password: str) -> str:
    if not password:
        return "has no password"
    if is_known(password):
        return KNOWN
    problem = why_guessed(password, SHORTEST_PASSWORD)
    return f"has a password that is guessed: it {problem}" if problem else ""
