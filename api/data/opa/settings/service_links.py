"""Which environment variables were made out of the name of a service, by Kubernetes or by a link of Docker.

A service `opa` gives every pod of its namespace `OPA_PORT=tcp://10.96.12.7:8000`, which is no setting of ours.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from opa._util.patterns import lazy_pattern

_ADDRESS = lazy_pattern(r"(?:tcp|udp|sctp)://\S+:\d+", re.IGNORECASE)
_NUMBERED_PORT = lazy_pattern(r"(?P<service>.+?)_PORT_\d+_(?:TCP|UDP|SCTP)")
_REST = lazy_pattern(
    r"SERVICE_HOST|SERVICE_PORT(?:_.+)?|ENV_.+"
    r"|PORT_\d+_(?:TCP|UDP|SCTP)(?:_PROTO|_PORT|_ADDR|_START|_END|_PORT_START|_PORT_END)?"
)


def service_links(environ: Mapping[str, str], settings: Collection[str] = ()) -> frozenset[str]:
    """The names of those variables in `environ` that describe a service.

    Which services there are, `NAME_PORT_8000_TCP` and Docker's `NAME_NAME` say by themselves. `NAME_PORT` may be
    the user's own, unless it is one of `settings`, or `NAME_SERVICE_HOST` stands beside it.

    Args:
        environ: the variables.
        settings: names of variables of ours; one with the address of a port in it was not meant for us.
    """
    services = {service for name, value in environ.items() if (service := _service_of(name, value, environ, settings))}
    return frozenset(name for name, value in environ.items() if any(_describes(name, value, each) for each in services))


def _service_of(name: str, value: str, environ: Mapping[str, str], settings: Collection[str]) -> str | None:
    """The service, in the form that it has in variables, that this one gives away."""
    service = name.removesuffix("_NAME")
    if service != name:
        # Docker: the container that has the link, and the name of that, /web/opa-project
        container, _, alias = value.removeprefix("/").partition("/")
        return service if container and re.sub(r"[-.]", "_", alias).upper() == service else None
    if not _ADDRESS.fullmatch(value):
        return None
    if numbered := _NUMBERED_PORT.fullmatch(name):
        return numbered["service"]
    service = name.removesuffix("_PORT")
    is_one = service != name and (name in settings or f"{service}_SERVICE_HOST" in environ)
    return service if is_one else None


def _describes(name: str, value: str, service: str) -> bool:
    """Whether the variable is one of those that `service` gives."""
    if not name.startswith(f"{service}_"):
        return False
    what = name[len(service) + 1 :]
    if what == "PORT":  # or else someone has set it since, who wins
        return bool(_ADDRESS.fullmatch(value))
    return (what == "NAME" and value.startswith("/")) or bool(_REST.fullmatch(what))
