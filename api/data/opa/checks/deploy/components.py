"""Whether the servers of components ask for a password, and one that is not guessed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from opa.checks.deploy.addresses import Place, options_beside, options_in_url, places, urls_in
from opa.checks.deploy.door import Declared, OpenDoor
from opa.checks.deploy.guessable import is_known, why_guessed
from opa.checks.deploy.servers import Start
from opa.checks.deploy.tls import has_client_certificate
from opa.checks.finding import Finding
from opa.settings.envs import current_envs

if TYPE_CHECKING:
    from opa.core.manager import PluginManager
    from opa.settings.config import Config

_WITH_PASSWORD = frozenset(
    {
        *("redis", "rediss", "valkey", "valkeys", "sentinel", "mongodb", "mongodb+srv", "amqp", "amqps", "pyamqp"),
        *("postgresql", "postgres", "postgresql+asyncpg", "postgresql+psycopg"),
    }
)
"""Schemes of servers that ask for a password, unless they are left open."""
_AMQP = frozenset({"amqp", "amqps", "pyamqp"})
_GUEST = "guest"
"""What the client of RabbitMQ sends where its URL has no user or no password."""
_PASSWORDS = frozenset({"PASSWORD", "BROKER_PASSWORD", "BACKEND_PASSWORD"})
"""Options with a password that stands beside its URL."""
_ENDS_OF_PASSWORDS = ("password", "passwd", "_pass", "_pwd")
_NO_SERVERS = frozenset({"tlscertificatekeyfilepassword", "ssl_password", "security_key_password"})
"""Options with a password that opens a file."""
_OF_CELERY = (
    *("broker_url", "broker_read_url", "broker_write_url", "broker_password", "broker_transport_options"),
    *("result_backend", "redis_password", "result_backend_transport_options"),
)
"""The settings of a Celery application that say how it connects."""
KNOWN = "has a password that everyone knows, such as the compose files' default"
SENDS_GUEST = "has no password in a URL, for which guest is sent: a password that everyone knows"
SHORTEST_PASSWORD = 12
"""Characters: redis and the like answer to a hundred thousand guesses a second."""


@dataclass(frozen=True)
class _Problem:
    """What is wrong with a password, as in "the component …"."""

    text: str
    password: str

    @property
    def is_known(self) -> bool:
        return self.text in (KNOWN, SENDS_GUEST)


def component_passwords(deployment: Declared) -> Iterator[Finding]:
    """A finding for each option, setting or variable with a server that has no password, or one that is guessed.

    One that everyone knows is an open door where ENV says that this is more than a try on one machine.
    """
    for place in places(deployment):
        if (problem := _worst(deployment.config, place)) and not _is_of_nothing(deployment, place):
            yield _finding(place, problem)


def passwords_of_applications(manager: PluginManager, environ: Mapping[str, str]) -> Iterator[Finding]:
    """The same of the passwords that code of a plugin has given to Celery; those of the settings are found before."""
    from opa.checks.deploy.tasks import applications_of

    config = manager.config
    # Also of components that are not looked at: what is there by default is not set by code.
    options = [component["OPTS"] for component in config.OPTIONAL_COMPONENTS.values()]
    by_default = (Place("", "", str(key), value, each) for each in options for key, value in each.items())
    written = [*places(Start(config, environ, manager.mode)), *by_default]
    known = {problem.password for place in written for problem in _problems(config, place)}
    for app in applications_of(manager):
        said = {name.upper(): getattr(app.conf, name, None) for name in (*_OF_CELERY, "broker_use_ssl")}
        for name in _OF_CELERY:
            place = Place("Celery", f"setting {name} of Celery", name.upper(), said[name.upper()], said)
            problem = _worst(config, place)
            if problem is not None and problem.password not in known:
                known.add(problem.password)  # that of broker_url is that of broker_read_url
                yield _finding(place, problem)


def with_known_passwords(declared: Declared) -> list[str]:
    """The names of what has a password that everyone knows, each once."""
    found = ((place, _worst(declared.config, place)) for place in places(declared))
    known = [place for place, problem in found if problem is not None and problem.is_known]
    return [*dict.fromkeys(place.name for place in known if not _is_of_nothing(declared, place))]


def _is_of_nothing(declared: Declared, place: Place) -> bool:
    """Whether what starts has no such server: the compose files name one that is there with a profile alone."""
    return isinstance(declared, Start) and place.leads_nowhere(declared.config.COMPONENT_DNS_TIMEOUT)


def _finding(place: Place, problem: _Problem) -> Finding:
    kind = OpenDoor if problem.is_known and current_envs() else Finding
    return kind(
        f"{place.name} {problem.text}",
        where=place.where,
        hint="Give the server a password, and write it here, best by a file (OPA_…__FILE)",
    )


def _worst(config: Config, place: Place) -> _Problem | None:
    """One that everyone knows first."""
    return min(_problems(config, place), key=lambda problem: not problem.is_known, default=None)


def _problems(config: Config, place: Place) -> Iterator[_Problem]:
    """What is wrong with the passwords in a place."""
    key, value = place.key.upper(), place.value
    by_name = {str(name).upper(): option for name, option in place.beside.items()}
    if key in _PASSWORDS:
        is_of_url = value is None or (value == "" and any(name.endswith("URL") for name in by_name))
        if not is_of_url:
            yield from _of_password(str(value))
    elif isinstance(value, Mapping) or (isinstance(value, list | tuple) and not all(isinstance(v, str) for v in value)):
        if not key.endswith("USE_SSL"):  # the password there opens a file
            yield from _inside(config, value)
    elif _is_password(key):
        yield from _given(value)
    # What stands beside a URL is used in the place of what stands in it.
    elif not any(by_name.get(name) for name in ("PASSWORD", f"{key.removesuffix('URL')}PASSWORD")):
        yield from _in_urls(config, key, value, by_name)


def _inside(config: Config, value: Any) -> Iterator[_Problem]:
    """Those of what stands deeper, such as `sentinel_kwargs`."""
    pairs = value.items() if isinstance(value, Mapping) else (("", each) for each in value)
    for name, each in pairs:
        if _is_password(str(name)):
            yield from _given(each)
        elif isinstance(each, Mapping | list | tuple):
            if not str(name).upper().endswith("USE_SSL"):
                yield from _inside(config, each)
        else:
            yield from (problem for problem in _in_urls(config, str(name), each, {}) if problem.password)


def _is_password(name: str) -> bool:
    name = name.lower()
    return name in ("pass", "pwd") or (name.endswith(_ENDS_OF_PASSWORDS) and name not in _NO_SERVERS)


def _given(value: Any) -> Iterator[_Problem]:
    if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
        yield from _of_password(str(value))


def _in_urls(config: Config, key: str, value: Any, beside: Mapping[str, Any]) -> Iterator[_Problem]:
    has_other = has_client_certificate(options_beside(config, key, beside))
    for url in urls_in(value):
        user, _, hosts = url["place"].rpartition("@")
        scheme, parameters = url["scheme"].lower(), options_in_url(url)
        # As redis-py reads it.
        password = unquote(user.partition(":")[2]) or dict(parameters).get("password", "")
        if password:
            yield from _of_password(password)
        is_known_by_other = has_other or has_client_certificate(parameters) or _has_redis_password(key, scheme, beside)
        if password or scheme not in _WITH_PASSWORD or is_known_by_other or not (hosts or scheme in _AMQP):
            continue
        yield _Problem(SENDS_GUEST, _GUEST) if scheme in _AMQP else _Problem("has no password", "")


def _has_redis_password(key: str, scheme: str, beside: Mapping[str, Any]) -> bool:
    """Whether there is a password beside the URL that counts where it has none, as that of Celery for results."""
    is_redis = scheme.startswith(("redis", "valkey", "sentinel")) and not key.upper().startswith("BROKER")
    return is_redis and bool(beside.get("REDIS_PASSWORD"))


def _of_password(password: str) -> Iterator[_Problem]:
    if not password:
        yield _Problem("has no password", password)
    elif is_known(password):
        yield _Problem(KNOWN, password)
    elif problem := why_guessed(password, SHORTEST_PASSWORD):
        yield _Problem(f"has a password that is guessed: it {problem}", password)
