"""Whether the api knows its own names."""

from __future__ import annotations

from collections.abc import Iterator

from opa.checks.deploy.check import Deployment
from opa.checks.finding import Finding

_PRIVATE = frozenset(
    {"local", "localhost", "internal", "lan", "home", "corp", "private", "intranet", "test", "example", "invalid"}
)
"""Names at the top under which nobody can register one."""
_SECOND_LEVEL = frozenset({"ac", "co", "com", "edu", "gov", "net", "org"})
"""What many countries have below their own name, such as `co.uk`: anyone can register a name there too."""


def any_host(deployment: Deployment) -> Iterator[Finding]:
    """Whether the host of a request is believed, whatever it is."""
    if deployment.mode != "api":
        return
    hosts = deployment.config.TRUSTED_HOSTS
    wide = [host for host in hosts if _is_anyones(host)]
    if wide or not hosts:
        problem = f"has {', '.join(wide)}" if wide else "is empty"
        yield Finding(
            f"TRUSTED_HOSTS {problem}: the API takes a Host header of anyone's choice for its own name, also in the"
            " links that it makes",
            where=deployment.config.source("TRUSTED_HOSTS"),
            hint="Name the hosts under which it is reached",
        )


def _is_anyones(host: str) -> bool:
    """Whether anyone can have a name that this entry means."""
    labels = host.split(".")
    if labels.pop(0) != "*":
        return False
    below_country = len(labels) == 2 and len(labels[1]) == 2 and labels[0] in _SECOND_LEVEL
    return not labels or below_country or (len(labels) == 1 and labels[0] not in _PRIVATE)
