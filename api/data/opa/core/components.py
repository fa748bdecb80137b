"""Optional components: connect them side by side, and disconnect them in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from opa._util.hosts import resolves
from opa.core.calling import call
from opa.core.component_options import default_urls
from opa.core.component_states import (
    CONNECTED,
    DISCONNECTED,
    FAILED,
    NOT_LOADED,
    BorrowedComponent,
    ComponentState,
    reason_of,
)
from opa.core.drivers import Driver, is_permanent
from opa.core.preparation import prepare_component
from opa.core.service_profiles import how_to_start
from opa.core.threads import in_thread
from opa.errors import ComponentConnectError, ComponentError
from opa.logging.logger import log

if TYPE_CHECKING:
    from opa.core.manager import PluginManager
    from opa.settings.load import Config

MIN_RETRY_DELAY = 0.1
MAX_RETRY_DELAY = 2.0
# Mistakes in the driver or in its options: another try would end the same.
PERMANENT_ERRORS = (TypeError, ValueError, AttributeError, NameError, ImportError, NotImplementedError)


async def connect_components(manager: PluginManager) -> None:
    """Connect every component that is to be loaded, all side by side.

    What has connected stands in `manager.optional_components`, also where another one fails; the rest are cancelled.

    Raises:
        ComponentConnectError: a component that had to connect did not; the first one that failed.
    """
    try:
        async with asyncio.TaskGroup() as group:
            for state in manager.component_states.values():
                group.create_task(_connect(manager, state), name=f"connect-{state.name}")
    except* ComponentError as errors:
        raise errors.exceptions[0] from errors.exceptions[0].__cause__
    # On a terminal it would stand before what a command prints.
    _log_summary("DEBUG" if manager.mode == "command" else "INFO", manager.component_states.values())


@asynccontextmanager
async def connected(manager: PluginManager, name: str) -> AsyncIterator[None]:
    """One component, of those that are configured, is connected in the block, unless it is not to be loaded.

    Several may have one at the same time: the first connects it, and the last disconnects it.

    Args:
        manager: `optional_components` says whether it is connected; what is connected already stays so.

    Raises:
        ComponentConnectError: it had to connect and did not.
    """
    borrowed = manager.borrowed.setdefault(name, BorrowedComponent())
    borrowed.users += 1
    try:
        async with borrowed.changing:
            if name in manager.component_states and name not in manager.optional_components:
                await _connect(manager, manager.component_states[name])
                borrowed.is_connected = name in manager.optional_components
        yield
    finally:
        borrowed.users -= 1
        async with borrowed.changing:
            if not borrowed.users and borrowed.is_connected:
                borrowed.is_connected = False
                await _disconnect(manager, name, DISCONNECTED, "the command has ended")
        if not borrowed.users:
            manager.borrowed.pop(name, None)


def _log_summary(level: str, states: Iterable[ComponentState]) -> None:
    connected = [state.name for state in states if state.status == CONNECTED]
    others = [f"{state.name} ({state.reason})" for state in states if state.status != CONNECTED]
    log.log(level, f"components connected: {', '.join(connected) or 'none'}; not loaded: {', '.join(others) or 'none'}")


async def _connect(manager: PluginManager, state: ComponentState) -> None:
    component = state.driver
    if component is None:
        if state.load == "no":
            _note(manager, state, NOT_LOADED, "LOAD is no")
        return
    if state.load == "auto":
        missing = await missing_host(component.hosts(), manager.config.COMPONENT_DNS_TIMEOUT)
        if missing:
            _note(manager, state, NOT_LOADED, f"{missing}, LOAD is auto")
            return
    prepare_component(manager, state.name)
    state = manager.component_states[state.name]
    try:
        there = await _connect_within_limit(component, state, manager.config, manager.connect_limit)
    except ComponentConnectError as error:
        _note(manager, state, FAILED, error.problem)
        raise
    if there:
        manager.optional_components[state.name] = component
        for breaker in component.breakers():
            breaker.arm(asyncio.get_running_loop())
        _note(manager, state, CONNECTED, "")
    else:
        _note(
            manager,
            state,
            NOT_LOADED,
            f"its driver {state.driver_name} says that it is unavailable, LOAD is auto",
        )


def _note(manager: PluginManager, state: ComponentState, status: str, reason: str) -> None:
    state = state._replace(status=status, reason=reason)
    manager.component_states[state.name] = state
    log.debug(f"component '{state.name}' is {state}")


async def probe_components(manager: PluginManager, time_limit: float) -> None:
    """Connect every component that is to be loaded once, and disconnect it: `manager.component_states` has the result.

    Args:
        manager: one of which nothing is connected.
        time_limit: seconds for each component.
    """
    async with asyncio.TaskGroup() as group:
        for state in manager.component_states.values():
            group.create_task(_probe(manager, state, time_limit), name=f"probe-{state.name}")


async def _probe(manager: PluginManager, state: ComponentState, time_limit: float) -> None:
    component = state.driver
    if component is None:
        if state.load == "no":
            _note(manager, state, NOT_LOADED, "LOAD is no")
        return
    try:
        async with asyncio.timeout(time_limit):
            missing = await missing_host(component.hosts(), manager.config.COMPONENT_DNS_TIMEOUT)
            if missing:
                status = NOT_LOADED if state.load == "auto" else FAILED
                _note(manager, state, status, f"{missing}, LOAD is {state.load}")
                return
            prepare_component(manager, state.name)
            state = manager.component_states[state.name]
            there = await _try_once(component, manager.config.COMPONENT_DNS_TIMEOUT)
    except TimeoutError:
        _note(manager, state, FAILED, f"no answer within {time_limit:g} s")
    except Exception as error:  # noqa: BLE001 - a driver may raise anything; it is what was asked for
        _note(manager, state, FAILED, reason_of(error))
    else:
        status, reason = (CONNECTED, "") if there else (NOT_LOADED, "its driver says that it is unavailable")
        _note(manager, state, status, reason)
    finally:
        await _close_quietly(component, manager.config.COMPONENT_DISCONNECT_TIMEOUT)


async def missing_host(services: Iterable[tuple[str, ...]], time_limit: float) -> str:
    """Which service's hosts do not resolve, in words; empty where each service has one that does.

    Args:
        services: for each, the hosts of which one is enough.
        time_limit: seconds for each look-up.
    """
    for alternatives in services:
        for host in alternatives:
            if await in_thread(lambda host=host: resolves(host, time_limit), name=f"look-up-{host}"):  # type: ignore[misc]
                break
        else:
            names = " and ".join(f"'{host}'" for host in alternatives)
            what_to_do = how_to_start(alternatives)
            return f"host {names} does not resolve" + (f" ({what_to_do})" if what_to_do else "")
    return ""


async def _connect_within_limit(component: Driver, state: ComponentState, config: Config, limit: float) -> bool:
    """Try until it is connected; False where the driver says, with `LOAD` auto, that there is nothing to connect to.

    A name may resolve before its server listens, as in a fresh `docker compose up`; therefore more than one try.
    """
    clock = asyncio.get_running_loop().time
    deadline, pause, tries = clock() + limit, MIN_RETRY_DELAY, 0
    before: Exception | None = None
    while True:
        tries += 1
        try:
            async with asyncio.timeout_at(deadline):
                return await _try_once(component, config.COMPONENT_DNS_TIMEOUT)
        except Exception as error:  # noqa: BLE001 - a driver may raise anything; it is reported or chained
            await _close_quietly(component, config.COMPONENT_DISCONNECT_TIMEOUT)
            permanent = isinstance(error, PERMANENT_ERRORS) or is_permanent(error, component)
            if permanent or clock() + pause >= deadline:
                # A try that the limit cut short says nothing; the one before it does.
                cause = before if isinstance(error, TimeoutError) and before is not None else error
                defaults = default_urls(config, state.name, component.opts)
                hosts = "" if permanent else _hosts(component)
                raise _failure(state, cause, tries, limit, permanent, defaults=defaults, hosts=hosts) from cause
            before = error
            log.warning(f"component '{state.name}' does not connect yet ({reason_of(error)}); next try in {pause:g} s")
        except BaseException:
            await _close_quietly(component, config.COMPONENT_DISCONNECT_TIMEOUT)
            raise
        await asyncio.sleep(pause)
        pause = min(2 * pause, MAX_RETRY_DELAY)


async def _try_once(component: Driver, dns_limit: float) -> bool:
    if component.load == "yes" and (missing := await missing_host(component.hosts(), dns_limit)):
        raise ConnectionError(missing)
    if await _call(component.connect, component) is False:
        if component.load == "yes":
            raise ConnectionError("connect() says that the service is unavailable")
        return False
    validate = getattr(component, "validate", None)
    if validate is not None:
        await _call(validate, component)
    return True


async def _call(method: Callable[[], Any], component: Driver) -> Any:
    return await call(method, name=f"{getattr(method, '__name__', 'call')}-{component.component}")


def _hosts(component: Driver) -> str:
    """Those that it connects to, in words; empty where its options name none."""
    services = [" or ".join(f"'{host}'" for host in alternatives) for alternatives in component.hosts()]
    return " and ".join(dict.fromkeys(services))


def _failure(
    state: ComponentState,
    error: Exception,
    tries: int,
    limit: float,
    permanent: bool,
    *,
    defaults: list[str],
    hosts: str,
) -> ComponentConnectError:
    to = f" to {hosts}" if hosts else ""
    within = "" if permanent else f" within {limit:g} s ({tries} {'try' if tries == 1 else 'tries'})"
    return ComponentConnectError(
        f"component '{state.name}' (driver {state.driver_name}) did not connect{within}{to}: {reason_of(error)}",
        component=state.name,
        where=f"setting OPTIONAL_COMPONENTS.{state.name.upper()}"
        + (f"; {' and '.join(defaults)} from default-settings.yaml" if defaults else ""),
        hint="Start its server or fix its OPTS; with LOAD 'no' it is skipped",
    )


async def _close_quietly(component: Driver, time_limit: float) -> None:
    """Close what a failed try left open; that this may fail too is no news."""
    for breaker in component.breakers():
        breaker.disarm()
    if component.instance is None:
        return
    try:
        async with asyncio.timeout(time_limit):
            await _call(component.disconnect, component)
    except Exception as error:  # noqa: BLE001 - the error of the try itself is the one to report
        log.debug(f"closing component '{component.component}' after a failed try: {reason_of(error)}")
    component.instance = None


async def disconnect_components(manager: PluginManager) -> None:
    """Disconnect in reverse order of connecting. One that fails or hangs is logged, and the others still stop."""
    for name in reversed(list(manager.optional_components)):
        await _disconnect(manager, name, DISCONNECTED, "the process is stopping")


async def drop_components(manager: PluginManager, drivers: Collection[type[Driver]]) -> None:
    """Disconnect those components of `drivers`, whose plugin is skipped, that are connected."""
    for name, component in reversed(list(manager.optional_components.items())):
        if type(component) in drivers:
            state = manager.component_states[name]
            await _disconnect(manager, name, state.status, state.reason)


async def _disconnect(manager: PluginManager, name: str, status: str, reason: str) -> None:
    component = manager.optional_components.pop(name)
    for breaker in component.breakers():
        breaker.disarm()
    manager.component_states[name] = manager.component_states[name]._replace(status=status, reason=reason)
    try:
        async with asyncio.timeout(manager.config.COMPONENT_DISCONNECT_TIMEOUT):
            await _call(component.disconnect, component)
    except Exception as error:  # noqa: BLE001 - stopping one thing must not keep the others from being stopped
        log.opt(exception=error).error(f"component '{name}' did not disconnect: {reason_of(error)}")
