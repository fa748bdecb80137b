"""Where something is said of servers: by URLs, and by the options beside them.

That is in the options of the components that are used, in the settings of Celery, and in variables that Celery and
Flower read by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from opa._util.hosts import hosts_in_url, is_unknown
from opa.checks.deploy.servers import VARIABLES_WITH_SERVERS, settings_with_servers
from opa.core.component_options import is_default

if TYPE_CHECKING:
    from opa.checks.deploy.door import Declared
    from opa.settings.config import Config

Option = tuple[str, Any]
"""A name in lower case, and its value."""

# A semicolon separates URLs of brokers, and parameters of MongoDB's.
_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<place>[^/?#;]*)(?P<rest>(?:[^;]|;(?![a-z][a-z0-9+.-]*://))*)", re.IGNORECASE
)
_TLS_OF_CELERY = {
    **dict.fromkeys(("BROKER_URL", "BROKER_READ_URL", "BROKER_WRITE_URL"), "CELERY_BROKER_USE_SSL"),
    **dict.fromkeys(("BACKEND_URL", "RESULT_BACKEND"), "CELERY_REDIS_BACKEND_USE_SSL"),
}
"""The options with a URL, and the settings of Celery about the certificates there."""


@dataclass(frozen=True)
class Place:
    """An option, a setting or a variable that may say something of a server.

    Attributes:
        name: what it belongs to, for people.
        where: it stands.
        key: its name, as it is among the options of a component.
        value: what it says.
        beside: all options of the same connection, by their names.
        is_optional: whether it belongs to a component that is connected only where its host exists.
    """

    name: str
    where: str
    key: str
    value: Any
    beside: Mapping[str, Any]
    is_optional: bool = False

    def leads_nowhere(self, time_limit: float) -> bool:
        """Whether there is no such host, and so no server; not where the resolver does not answer.

        Args:
            time_limit: seconds to look up each.
        """
        if not self.is_optional:
            return False
        texts = [value for key, value in self.beside.items() if str(key).upper().endswith("URL")]
        hosts = {host for text in texts if isinstance(text, str) for host in hosts_in_url(text)}
        return bool(hosts) and all(is_unknown(host, time_limit) for host in hosts)


def places(declared: Declared) -> Iterator[Place]:
    """All of them, as far as they can be told before plugins are loaded."""
    config, environ = declared.config, declared.environ
    for name, options in used_components(config):
        for key, value in options.items():
            where = f"{key}, {config.source(f'OPTIONAL_COMPONENTS.{name}.OPTS.{key}')}"
            is_optional = config.OPTIONAL_COMPONENTS[name]["LOAD"] == "auto"
            yield Place(f"component '{name.lower()}'", where, str(key), value, options, is_optional)
    settings = {name.removeprefix("CELERY_"): config.get(name) for name in settings_with_servers(config)}
    for key, value in settings.items():
        name = f"CELERY_{key}"
        yield Place(f"setting {name}", f"{name}, {config.source(name)}", key, value, settings)
    variables = {name.removeprefix("CELERY_"): environ[name] for name in VARIABLES_WITH_SERVERS if environ.get(name)}
    for key, value in variables.items():
        name = key if key in VARIABLES_WITH_SERVERS else f"CELERY_{key}"
        yield Place(f"variable {name}", f"environment variable {name}", key, value, settings | variables)


def used_components(config: Config) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Their names and options.

    Components that the settings do not mention are not looked at: they are used only where their hosts exist.
    """
    for name, component in config.OPTIONAL_COMPONENTS.items():
        if component["LOAD"] == "no" or (component["LOAD"] == "auto" and is_default(config, name)):
            continue
        yield str(name), component["OPTS"]


def urls_in(value: Any) -> Iterator[re.Match[str]]:
    """The URLs in an option, with their `scheme`, `place` and `rest`: in a text, or in each text of a list."""
    for text in [value] if isinstance(value, str) else value if isinstance(value, list | tuple) else ():
        if isinstance(text, str):
            yield from _URL.finditer(text)


def options_in_url(url: re.Match[str]) -> list[Option]:
    """The parameters of a URL."""
    query = url["rest"].partition("?")[2].replace(";", "&")
    return [(name.lower(), value) for name, value in parse_qsl(query, keep_blank_values=True)]


def options_of_celery(config: Config, key: str) -> list[Option]:
    """What a setting of Celery says of the certificates where the option `key` has the URL."""
    setting = config.get(_TLS_OF_CELERY.get(key.upper(), ""))
    return [*nested(setting)] if isinstance(setting, Mapping) else []


def options_beside(config: Config, key: str, options: Mapping[str, Any]) -> list[Option]:
    """What other options, and settings, say of the connection for which the option `key` of `options` has the URL."""
    setting = _TLS_OF_CELERY.get(key.upper())
    if setting is None:
        return [*nested(options)]
    own = {name: value for name, value in options.items() if f"CELERY_{name}".upper() == setting}
    return [*nested(own), *options_of_celery(config, key)]


def nested(options: Mapping[Any, Any]) -> Iterator[Option]:
    """The options of a mapping, and of the mappings in it such as `broker_use_ssl`."""
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from nested(value)
        else:
            yield str(name).lower(), value
