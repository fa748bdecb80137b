"""Drivers: classes that know how to connect to one kind of service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Protocol

from opa._util.hosts import hosts_in_url
from opa._util.masking.secrets import mask_text
from opa.core.breaker import Breaker, refused_component
from opa.core.calling import call_from_thread
from opa.core.component_observers import CONNECTION, PoolUse, TellWait, measured, wait_teller
from opa.core.hooks import BasePlugin
from opa.core.lazy_errors import errors_now
from opa.errors import ComponentUnavailableError
from opa.logging.logger import log

if TYPE_CHECKING:
    from collections import defaultdict
    from pathlib import Path

    from opa.core.hooks import Hook, HookDefinition
    from opa.loading.filters import Decision
    from opa.settings.load import Config


PerUse = Literal["async", "sync"]
"""How a driver gives something for each use: by a context manager of an event loop, or of a thread."""
ASYNC: Final = "async"
SYNC: Final = "sync"


class Manager(Protocol):
    """What a driver may ask of the plugin manager that its component belongs to; see `opa.PluginManager`."""

    config: Config
    mode: str
    folders: tuple[Path, ...]
    decisions: tuple[Decision, ...]
    hook_definitions: Mapping[str, type[HookDefinition]]
    hooks: Mapping[str, Hook]
    drivers: Mapping[str, type[Driver]]
    optional_components: dict[str, Driver]
    component_states: dict[str, Any]
    status: defaultdict[str, dict[str, Any]]
    store: dict[str, Any]

    def call(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call a hook."""

    async def call_async(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Await a hook."""

    def get_component(self, name: str) -> Driver:
        """The driver instance of the component `name`."""


class NotThereError(ConnectionError):
    """A probe connects, and `connect()` says that the service is not there."""


class Driver(BasePlugin):
    """Connects one component. Subclass it in a plugin, with a `name` and a `connect`.

    `connect` and `validate` may be `def` or `async def`, each on its own. A synchronous one runs in a thread, so it
    never holds the event loop. What they raise is tried again, with a growing pause, until the time limit of
    the settings (`COMPONENT_CONNECT_TIMEOUT`) has passed; an error in `permanent_errors` is not tried again.

    Attributes:
        name: what `DRIVER` in the settings refers to; case does not matter.
        instance: the client; `connect` sets it.
        opts: `OPTS` of the component, with attribute access (`self.opts.URL`).
        load: `LOAD` of the component: `auto`, `yes` or `no`.
        pm: the plugin manager that the component belongs to.
        component: the name of the component.
        connection_errors: what the client raises when its server is gone, or cannot do for now what it is asked to; in
            a route they become a 503.
        permanent_errors: what `connect` or `validate` raises when another try cannot help, such as a wrong password.
            Of an error that is of both kinds, the more special class says which it is.
        runs_tasks: whether it sends and runs the tasks of the plugins: a worker and beat need a component of it.
        guards_client: whether the client that `get_instance` gives raises by itself while the breaker is open.
        per_use: `async` with an `async_scope`, `sync` with a `scope`: `Component(…)` then gives what that yields, in
            the place of the instance. None without either.
    """

    name: ClassVar[str]
    connection_errors: ClassVar[tuple[type[Exception], ...]] = ()
    permanent_errors: ClassVar[tuple[type[Exception], ...]] = ()
    guards_client: ClassVar[bool] = False
    runs_tasks: ClassVar[bool] = False
    per_use: ClassVar[PerUse | None] = None

    instance: Any = None
    pm: Manager
    component: str = ""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        is_async, is_sync = cls.async_scope is not Driver.async_scope, cls.scope is not Driver.scope
        cls.per_use = ASYNC if is_async else SYNC if is_sync else None

    def __init__(self, opts: Mapping[str, Any] | None = None, load: str = "auto") -> None:
        self.opts: Any = opts if opts is not None else {}
        self.load = load

    def hosts(self) -> list[tuple[str, ...]]:
        """The host names that must resolve before `connect` is worth a try, a tuple of alternatives for each service.

        They come from the options named `URL` or `…_URL`. Override it for a driver whose options name their
        hosts differently.
        """
        options = self.opts.items() if isinstance(self.opts, Mapping) else ()  # a driver may make what it likes of them
        urls = [value for key, value in options if str(key).upper() == "URL" or str(key).upper().endswith("_URL")]
        return [hosts for url in urls if isinstance(url, str) and (hosts := hosts_in_url(url))]

    def prepare(self) -> None:
        """Do what needs no network, once, after the plugins are loaded and before the process forks.

        A driver whose client connects by itself may make it here. What it raises stops the start.
        """

    @property
    def waits_for_host(self) -> bool:
        """Whether `prepare` may wait until the host of the component is found.

        It is asked for a component of `default-settings.yaml` alone that the user's settings do not mention. A driver
        that imports its client in `prepare` then costs nothing where there is no such server.
        """
        return False

    def connect(self) -> Any:
        """Set `self.instance`. Return False to say that the service is not there (`LOAD` is auto: not an error)."""
        raise NotImplementedError(f"driver {type(self).__name__} has no connect()")

    @cached_property
    def breaker(self) -> Breaker:
        """Refuses calls to the component at once while it is known not to answer.

        It is asked by `probe()` where the driver has one, or else by `validate()`, or else a new instance connects and
        disconnects. Each may be `def` or `async def`, also behind a decorator.
        """
        return self.new_breaker(self.component, probe_of(self))

    def new_breaker(
        self, name: str, probe: Callable[[], Any], refusal: Callable[[str], Exception] | None = None
    ) -> Breaker:
        """A breaker for a server of this component.

        Args:
            name: for the log and for answers.
            probe: asks the server.
            refusal: makes the error for a call that is refused; the driver's by default.
        """
        breaker = Breaker(name, probe, is_outage=partial(is_outage, driver=self), refusal=refusal or self.refusal)
        breaker.tell_wait = self.tell_wait
        return breaker

    def breakers(self) -> list[Breaker]:
        """All that there are; more than one for a driver that talks to several servers."""
        return [self.breaker]

    def pools(self) -> Mapping[str, PoolUse]:
        """How the connections of this process are used, by the name of their pool; empty where there is no pool.

        For metrics: it is called every second or so, in any thread, and must not wait. The names of pools are few.
        """
        return {}

    @cached_property
    def tell_wait(self) -> TellWait | None:
        """Told that a call has waited: for what, and for how many seconds; None where there is no observer of that."""
        return wait_teller(getattr(self, "pm", None), self.component)

    def waiting(self) -> AbstractContextManager[None]:
        """A context for a call that waits for a free connection; enter it where there is none at the moment.

        `ComponentObserver`s are told how long that took. Without one, nothing is measured.
        """
        return measured(self.tell_wait, CONNECTION)

    def refusal(self, problem: str) -> Exception:
        """The error for a call that is refused because the component is known not to answer."""
        return ComponentUnavailableError(problem, component=self.component)

    def get_instance(self) -> Any:
        """What `get_instance("…")` and `Component("…")` give; the client by default."""
        return self.instance

    def scope(self) -> AbstractContextManager[Any]:
        """Give something of its own to each use of the component, such as a session, and end it with the use.

        A use is a request, a run of a task, a `ready` or another step of a plugin, or a command. All that have a
        `Component("…")` in one of them get what this yields. Its end hears of the error with which the use ends.
        Without this, and without `async_scope`, all get the instance.

        It begins and ends in threads, which need not be the same one.
        """
        raise NotImplementedError(f"driver {type(self).__name__} has no scope()")

    def async_scope(self) -> AbstractAsyncContextManager[Any]:
        """The same for a client that is asynchronous: it begins and ends on the event loop."""
        raise NotImplementedError(f"driver {type(self).__name__} has no async_scope()")

    def disconnect(self) -> Any:
        """Close what `connect` opened; may be `async def`. Called when the process stops, in reverse order."""


def probe_of(driver: Driver) -> Callable[[], Any]:
    """What asks a component whether it answers."""
    probe: Callable[[], Any] | None = getattr(driver, "probe", None) or getattr(driver, "validate", None)
    if probe is not None:
        return probe

    def another() -> Driver:
        new = type(driver)(opts=driver.opts, load=driver.load)
        new.pm, new.component = driver.pm, driver.component
        return new

    def connect_anew() -> None:
        new, loop = another(), driver.breaker.loop
        is_there = False
        try:
            is_there = call_from_thread(new.connect, loop) is not False
        finally:
            if is_there or new.instance is not None:
                _disconnect_quietly(new, loop)
        if not is_there:
            raise NotThereError("connect() says that the service is unavailable")

    return connect_anew


def _disconnect_quietly(new: Driver, loop: asyncio.AbstractEventLoop | None) -> None:
    """Close what a probe has opened; whether the server answered, `connect` has said."""
    try:
        call_from_thread(new.disconnect, loop, new.pm.config.COMPONENT_DISCONNECT_TIMEOUT)
    except Exception as error:  # noqa: BLE001 - as above
        log.debug("closing component '{}' after a probe: {}", new.component, mask_text(f"{error!r}"))


def is_permanent(error: BaseException, driver: Driver) -> bool:
    """Whether another try cannot help."""
    permanent, passing = errors_now(driver, "permanent_errors"), errors_now(driver, "connection_errors")
    # `AuthenticationError` of redis is a `ConnectionError`, and its `ReadOnlyError` is a `ResponseError`.
    return next((kind in permanent for kind in type(error).__mro__ if kind in permanent or kind in passing), False)


def component_named_by(error: BaseException) -> str | None:
    """The component that an error of a client says it is of."""
    name = getattr(error, "component", None)
    return name if isinstance(name, str) else None


def is_outage(error: BaseException, driver: Driver) -> bool:
    """Whether the server is gone, or cannot do for now what it is asked to."""
    if refused_component(error) is not None:
        return refused_component(error) in {breaker.name for breaker in driver.breakers()}
    if isinstance(error, NotThereError):
        return True
    if component_named_by(error) not in (None, driver.component):
        return False
    return isinstance(error, errors_now(driver, "connection_errors")) and not is_permanent(error, driver)
