"""The components of a test: on servers of the session, in memory, replaced, or off."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from opa._util.suggestions import nearest
from opa.core.component_states import CONNECTED, NOT_LOADED
from opa.core.drivers import Driver
from opa.errors import OpaError
from opa.settings.components import task_components
from opa.testing.project import SOURCE, has_limited_tasks, has_tasks
from opa.testing.servers import empty_service

if TYPE_CHECKING:
    from opa.core.manager import PluginManager
    from opa.settings.load import Config
    from opa.testing.servers import Kind

__tracebackhide__ = True  # for pytest, which shows the line of the test

KINDS: Mapping[str, Kind] = {
    "redis-aioredis": "redis",
    "redis-walrus": "redis",
    "mongodb-async-motor": "mongo",
    "mongodb-async-pymongo": "mongo",
    "mongodb-pymongo": "mongo",
    "sqlalchemy-async": "sql",
    "sqlalchemy": "sql",
}
"""The server that a driver is for; that of `sql` is a file of SQLite."""
OF_SERVER = ("URL", "HOST", "PORT", "USERNAME", "PASSWORD", "AUTH", "SSL", "TLS", "SENTINEL", "UNIX", "REPLICASET")
"""How the names of options begin that say where a server is, and how to get in."""
OF_DATABASE = ("CONNECT_ARGS", "ISOLATION_LEVEL")
"""Options that are for one kind of SQL database."""
OF_BROKER = ("BROKER_", "BACKEND_", "REDIS_", "RESULT_BACKEND", "PASSWORD")
NEED_REDIS = ("ACCESS_KEYS", "USERS", "OIDC_PROVIDERS")
"""Settings whose plugins need the component `aioredis`."""
AIOREDIS = "aioredis"
BROKER = "memory://localhost/"
"""Where tasks are sent: kombu keeps them in this process."""
RESULTS = "cache+memory://"
"""Where their results go: Celery keeps them in this process."""

EmptyServer = Callable[["Kind", str], str]
"""Gives the address of a server without data, for a component; or the path of a file, for a database."""


def used_components(config: Config, text: str, wished: Collection[str]) -> set[str]:
    """The names of the components that a test connects, in lower case.

    Args:
        config: the settings.
        text: the source of the plugins, in lower case.
        wished: by the mark of the test.

    Raises:
        OpaError: one that is wished is not configured.
    """
    for name in wished:
        refuse_unknown(config, name, "the mark 'opa'")
    of_tasks = task_components(config)
    used = set(wished)
    for key, options in config.OPTIONAL_COMPONENTS.items():
        name = key.lower()
        if name in used or options["LOAD"] == "no":
            continue
        if has_tasks(text) if name in of_tasks else options["DRIVER"].lower() in KINDS and name in text:
            used.add(name)
    needs_redis = has_limited_tasks(text) or any(config.get(setting) for setting in NEED_REDIS)
    if needs_redis and config.get(f"OPTIONAL_COMPONENTS.{AIOREDIS}.LOAD", "no") != "no":
        used.add(AIOREDIS)
    return used


def refuse_unknown(config: Config, name: str, by: str) -> None:
    """See that a component is configured.

    Raises:
        OpaError: it is not.
    """
    known = [key.lower() for key in config.OPTIONAL_COMPONENTS]
    if name.lower() not in known:
        near = nearest(name.lower(), known)
        names = f"Components: {', '.join(known) or 'none'}"
        raise OpaError(
            f"there is no component '{name}' in OPTIONAL_COMPONENTS, which {by} names",
            hint=f"Did you mean '{near}'? {names}" if near else names,
        )


def with_components(
    config: Config, used: Collection[str], faked: Collection[str], addresses: Mapping[str, str], empty: EmptyServer
) -> Config:
    """The settings, with each component where it is in a test.

    Args:
        config: the settings.
        used: the components that are connected.
        faked: those that the test has replaced.
        addresses: `host:port` of services that were started for the session, by the name of their host.
        empty: gives the server of a component.

    Raises:
        StartError: it is not installed, or does not start.
    """
    of_tasks = task_components(config)
    components: dict[str, Any] = config.as_dict()["OPTIONAL_COMPONENTS"]
    for key, options in components.items():
        name, driver = key.lower(), options["DRIVER"].lower()
        if name in faked:
            options["LOAD"] = "yes"
        elif name not in used:
            options["LOAD"] = "no"
        elif name in of_tasks:
            options |= {"LOAD": "yes", "OPTS": _of_tasks(options["OPTS"], addresses)}
        elif driver in KINDS:
            options |= {"LOAD": "yes", "OPTS": _of_server(options["OPTS"], driver, name, addresses, empty)}
        elif addresses:
            options |= {"LOAD": "yes", "OPTS": {key: _at(value, addresses) for key, value in options["OPTS"].items()}}
        else:
            options["LOAD"] = "yes"
    return config.replaced({"OPTIONAL_COMPONENTS": components}, SOURCE)


def _of_server(
    options: Mapping[str, Any], driver: str, component: str, addresses: Mapping[str, str], empty: EmptyServer
) -> dict[str, Any]:
    real = {key: _at(value, addresses) for key, value in options.items()}
    if real != dict(options):
        for url in [value for key, value in real.items() if key.upper() == "URL"]:
            try:
                empty_service(KINDS[driver], url)
            except Exception as error:  # noqa: BLE001 - of a client of redis or mongo
                raise OpaError(
                    f"the service of the component '{component}' cannot be emptied: {type(error).__name__}: {error}",
                    hint="Is its password that of the compose file?",
                ) from None
        return real
    kept = {key: value for key, value in options.items() if not key.upper().startswith(OF_SERVER)}
    if KINDS[driver] == "sql":
        kept = {key: value for key, value in kept.items() if key.upper() not in OF_DATABASE}
        # Components of one database have one file.
        said = next((value for key, value in options.items() if key.upper() == "URL"), component)
        return {**kept, "URL": f"sqlite:///{empty('sql', str(said))}"}
    url = next((value for key, value in options.items() if key.upper() == "URL"), "")
    path = urlsplit(url).path if isinstance(url, str) and not url.startswith("unix") else ""
    scheme = "redis" if KINDS[driver] == "redis" else "mongodb"
    return {**kept, "URL": f"{scheme}://{empty(KINDS[driver], component)}{path}"}


def _of_tasks(options: Mapping[str, Any], addresses: Mapping[str, str]) -> dict[str, Any]:
    named = {key.upper(): value for key, value in options.items()}
    broker, results = named.get("BROKER_URL"), named.get("BACKEND_URL")
    is_real = _at(broker, addresses) != broker
    kept = {key: value for key, value in options.items() if is_real or not key.upper().startswith(OF_BROKER)}
    at = {"BROKER_URL": _at(broker, addresses) if is_real else BROKER}
    if results:
        there = _at(results, addresses)
        at["BACKEND_URL"] = there if is_real and there != results else RESULTS
    return {**{key: value for key, value in kept.items() if key.upper() not in at}, **at}


def _at(value: Any, addresses: Mapping[str, str]) -> Any:
    """A URL whose host is a service that was started for the session, with its address."""
    if not isinstance(value, str) or "://" not in value:
        return value
    parts = urlsplit(value)
    address = addresses.get(parts.hostname or "")
    if address is None:
        return value
    login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    return urlunsplit((parts.scheme, f"{login}{address}", parts.path, parts.query, parts.fragment))


def put_in_place(manager: PluginManager, name: str, fake: Any) -> None:
    """Have a component be what the test gives, from now on.

    Its driver stays the same in all else: its `connection_errors`, for one, are still answered with 503.
    """
    state = manager.component_states[name]
    driver = fake_driver(manager, name, fake, manager.optional_components.get(name))
    manager.component_states[name] = state._replace(driver=driver, load="yes", is_prepared=True)
    if any(each.status == CONNECTED for each in manager.component_states.values()) or manager.optional_components:
        manager.component_states[name] = manager.component_states[name]._replace(status=CONNECTED, reason="")
        manager.optional_components[name] = driver


def fake_driver(manager: PluginManager, name: str, fake: Any, before: Driver | None) -> Driver:
    """A driver of a component that gives `fake`, and connects to nothing.

    Args:
        manager: the plugins.
        name: of the component.
        fake: what it gives.
        before: what has connected before, and is disconnected with it.
    """
    state = manager.component_states[name]
    real = manager.drivers[state.driver_name.lower()]

    def nothing(self: Any) -> None:
        """It is in place."""

    def connect(self: Any) -> None:
        self.instance = fake

    async def disconnect(self: Any) -> None:
        result: Any = None if before is None else before.disconnect()
        if hasattr(result, "__await__"):
            await result

    def hosts(self: Any) -> list[tuple[str, ...]]:
        return []

    methods: dict[str, Any] = dict.fromkeys(("prepare", "validate", "probe"), nothing)
    methods |= {"connect": connect, "disconnect": disconnect, "hosts": hosts, "get_instance": lambda _: fake}
    methods |= {"scope": Driver.scope, "async_scope": Driver.async_scope}  # it is what each use gets
    kind = type(real.__name__, (real,), methods)
    driver: Driver = kind(opts=manager.config.OPTIONAL_COMPONENTS[name]["OPTS"], load="yes")
    driver.component, driver.pm, driver.instance = name, manager, fake
    return driver


def explain_what_is_off(manager: PluginManager) -> None:
    """Say of each component that is off why it is, to who asks for it."""
    for name, state in manager.component_states.items():
        if state.driver is None and state.status == NOT_LOADED:
            reason = (
                f"it is off in this test: no plugin has its name in its source. Name it,"
                f" @pytest.mark.opa(components=['{name}']), or replace it: opa_component('{name}', …)"
            )
            manager.component_states[name] = state._replace(reason=reason)
