"""See that the drivers of the plugins can be told apart, and say of themselves what can be used."""

from __future__ import annotations

import inspect
from collections.abc import Iterable

from opa._util.sources import describe, where_is
from opa.core.drivers import Driver
from opa.core.lazy_errors import LazyErrors
from opa.errors import RegistrationError


def drivers_by_name(written: Iterable[tuple[str, type[Driver]]]) -> dict[str, type[Driver]]:
    """The drivers by their names in lower case.

    Args:
        written: the name of a plugin, and a driver that it has.

    Raises:
        RegistrationError: two have one name, or something that one says of itself is of no use.
    """
    drivers: dict[str, type[Driver]] = {}
    for plugin, driver in written:
        name = getattr(driver, "name", None)
        if not isinstance(name, str) or not name:
            raise RegistrationError(
                f"driver {driver.__name__} of plugin '{plugin}' has no name",
                plugin=plugin,
                where=where_is(driver),
                hint="Write name = '…', or give a base class a name with a leading underscore",
            )
        if name.lower() in drivers:
            raise RegistrationError(
                f"driver '{name}' of plugin '{plugin}' is defined twice (case does not matter), also as"
                f" {describe(drivers[name.lower()])}",
                plugin=plugin,
                where=where_is(driver),
                hint="Rename one of them",
            )
        _check_connection_errors(plugin, name, driver)
        _check_scopes(plugin, name, driver)
        drivers[name.lower()] = driver
    return drivers


def _check_scopes(plugin: str, name: str, driver: type[Driver]) -> None:
    if driver.scope is not Driver.scope and driver.async_scope is not Driver.async_scope:
        raise RegistrationError(
            f"driver '{name}' has both scope() and async_scope()",
            plugin=plugin,
            where=where_is(driver),
            hint="Keep the one for its client: async_scope() for an asynchronous one",
        )


def _check_connection_errors(plugin: str, name: str, driver: type[Driver]) -> None:
    errors: object = inspect.getattr_static(driver, "connection_errors")
    if isinstance(errors, LazyErrors):
        return
    if not isinstance(errors, tuple) or not all(isinstance(e, type) and issubclass(e, BaseException) for e in errors):
        problem = f"has {errors!r} as its connection_errors, which is not a tuple of exception classes"
    elif greedy := [error for error in errors if error in (Exception, BaseException)]:
        # Each mistake of any route would be a component that is gone.
        problem = f"has {greedy[0].__name__} among its connection_errors, which is every error"
    else:
        return
    raise RegistrationError(
        f"driver '{name}' {problem}",
        plugin=plugin,
        where=where_is(driver),
        hint="Name the errors that its client raises when the server is gone",
    )
