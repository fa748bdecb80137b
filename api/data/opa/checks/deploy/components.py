"""How the servers of the components are protected: with passwords that are missing, or known to everyone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from opa.checks.deploy.check import Deployment
from opa.checks.deploy.known import is_known
from opa.checks.finding import Finding
from opa.core.component_options import is_default

_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<place>[^/?#;]*)(?P<rest>[^;]*)", re.IGNORECASE)
_WITH_PASSWORD = frozenset(
    {"redis", "rediss", "valkey", "valkeys", "sentinel", "mongodb", "mongodb+srv", "amqp", "amqps", "pyamqp"}
)
"""Schemes of servers that ask for a password, unless they are left open."""


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
    return "has a password that everyone knows, such as the compose files' default" if is_known(password) else ""
