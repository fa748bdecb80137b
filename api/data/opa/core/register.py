"""Collect what the plugins define, check that it fits together, and say who wins."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar

from fastapi import APIRouter
from starlette.middleware import Middleware

from opa._util.objects import attribute, is_a
from opa._util.sources import describe, where_is
from opa._util.words import kind_of
from opa.core.drivers import Driver
from opa.core.hook_signature import misfit, signature_of_run
from opa.core.hooks import Hook, HookDefinition, hook_name, is_async_hook
from opa.core.lazy_errors import LazyErrors
from opa.core.lifecycle import Lifecycle, lifecycle_of
from opa.core.plugin_settings import PluginSettings
from opa.core.setups import Setup
from opa.errors import PluginError, RegistrationError
from opa.loading import conventions
from opa.loading.candidates import NOT_ALLOWED, problem_of_folder, who_may_read
from opa.loading.conventions import CONVENTIONS, Convention, declared_in
from opa.loading.import_errors import deepest_line_in, summary
from opa.loading.importing import ImportedPlugin
from opa.loading.roster import Roster

Base = TypeVar("Base")
_MIDDLEWARE = "starlette.middleware.Middleware"
BASES = (HookDefinition, Hook, Driver, Setup, PluginSettings)


@dataclass(frozen=True)
class PluginObjects:
    """What one plugin defines, in the order of its file."""

    plugin: ImportedPlugin
    hook_definitions: tuple[type[HookDefinition], ...]
    hooks: tuple[type[Hook], ...]
    drivers: tuple[type[Driver], ...]
    setups: tuple[type[Setup], ...]
    router: APIRouter | None
    middleware: tuple[Middleware, ...]
    exception_handlers: Mapping[Any, Any] | Callable[..., Mapping[Any, Any]]
    lifecycle: Lifecycle
    settings: type[PluginSettings] | None


@dataclass(frozen=True)
class Registry:
    """What all plugins define together.

    Attributes:
        objects: what each plugin defines, in load order.
        starting: those of them that have something to run when a process starts or stops. Each process walks over these
            alone: to look at an object is to write to its memory, which it shares with the others until then.
        hook_definitions: by hook name.
        hooks: the hook that is called, by hook name.
        drivers: by driver name in lower case.
        setups: in load order.
        plugin_of: the name of the plugin that defines a class.
        conventions: those that plugins declare, each with the name of the plugin.
    """

    objects: tuple[PluginObjects, ...]
    starting: tuple[PluginObjects, ...]
    hook_definitions: Mapping[str, type[HookDefinition]]
    hooks: Mapping[str, Hook]
    drivers: Mapping[str, type[Driver]]
    setups: tuple[type[Setup], ...]
    plugin_of: Mapping[type, str]
    conventions: Mapping[Convention, str]


def register_plugins(
    plugins: Sequence[ImportedPlugin],
    roster: Roster,
    used: Container[object] = (),
    made: dict[type[Hook], Hook] | None = None,
) -> Registry:
    """Collect what the plugins of `roster` define; skip, one after another, those that do not fit.

    Args:
        plugins: those that were imported.
        roster: the plugins that are in.
        used: functions that are something already, and so no step of the lifecycle.
        made: the hooks that were made before, which are taken again, and what they have stored with them.

    Raises:
        RegistrationError: a plugin that may not be skipped does not fit; see `register`.
    """
    made = {} if made is None else made
    while True:
        try:
            return register([plugin for plugin in plugins if plugin.name in roster], used, made)
        except PluginError as error:
            if error.plugin is None:
                raise
            roster.skip(error.plugin, error)


def register(plugins: Sequence[ImportedPlugin], used: Container[object], made: dict[type[Hook], Hook]) -> Registry:
    """Collect and check; hook definitions before hooks, whatever the order of the plugins.

    Raises:
        RegistrationError: two definitions of a hook, a hook without one, wrong asyncness, a hook that cannot be made, a
            required hook that is not filled, two drivers of a name, or an object of the wrong type under a
            conventional name; a convention that is there already, or a file where it wants a folder.
        LifecycleError: `ready`, `startup` or `shutdown` cannot be called.
    """
    inner = _plugins_inside_others(plugins)
    objects = tuple(_objects_of(plugin, used, inner) for plugin in plugins)
    definitions = _hook_definitions(objects)
    hooks = _hooks(objects, definitions, made)
    _require_hooks(objects, definitions, hooks)
    declared = _conventions(plugins)
    _check_folders(plugins, declared)
    return Registry(
        objects=objects,
        starting=tuple(found for found in objects if found.setups or found.lifecycle.functions),
        hook_definitions=definitions,
        hooks=hooks,
        drivers=_drivers(objects),
        setups=tuple(setup for found in objects for setup in found.setups),
        plugin_of={
            cls: found.plugin.name
            for found in objects
            for cls in (*found.hook_definitions, *found.hooks, *found.drivers, *found.setups)
        },
        conventions=declared,
    )


def _conventions(plugins: Iterable[ImportedPlugin]) -> dict[Convention, str]:
    """Those that the plugins declare. Another plugin may import one, and has the same object."""
    found: dict[Convention, str] = {}
    for plugin in plugins:
        for convention in declared_in(plugin.module):
            if convention in found:
                continue
            others = (*(each for each in CONVENTIONS if not _is_declared_by(plugin, each)), *found)
            other = next((each for each in others if _is_same(each, convention)), None)
            if other is not None:
                owner = f"plugin '{found[other]}'" if other in found else "opa-stack"
                raise RegistrationError(
                    f"plugin '{plugin.name}' declares the convention '{convention.name}', which {owner} has already",
                    plugin=plugin.name,
                    where=str(plugin.file.file),
                    hint="Choose another name, or import the one that is there",
                )
            found[convention] = plugin.name
    return found


def _is_declared_by(plugin: ImportedPlugin, convention: Convention) -> bool:
    return plugin.file.is_built_in and convention.found_by.startswith(conventions.BUILT_IN)


def _check_folders(plugins: Iterable[ImportedPlugin], declared: Iterable[Convention]) -> None:
    """See that what has the name of a folder is one, which can be read."""
    names = [convention.name.rstrip("/") for convention in declared if convention.kind == "folder"]
    for plugin in plugins if names else ():
        for name in names if plugin.file.is_package else ():
            path = plugin.file.file.parent / name
            problem = problem_of_folder(path)
            if problem is not None:
                raise RegistrationError(
                    f"'{name}' of plugin '{plugin.name}' {problem}",
                    plugin=plugin.name,
                    where=str(path),
                    hint=who_may_read() if problem == NOT_ALLOWED else "Make it a folder, or give it another name",
                )


def _is_same(one: Convention, other: Convention) -> bool:
    return (one.name, one.kind) == (other.name, other.kind)


def _objects_of(plugin: ImportedPlugin, used: Container[object], inner: Sequence[str]) -> PluginObjects:
    """What a plugin defines.

    Raises:
        RegistrationError: something under a conventional name is of the wrong type, or raises when it is looked at.
        LifecycleError: `ready`, `startup` or `shutdown` cannot be called.
    """
    try:
        return _found_in(plugin, used, inner)
    except PluginError:
        raise
    except Exception as error:
        raise RegistrationError(
            f"an object of plugin '{plugin.name}' raises when it is looked at: {summary(error, '')}",
            plugin=plugin.name,
            where=deepest_line_in([plugin.file.file.parent], error) or str(plugin.file.file),
            hint="Fix what it raises",
        ) from error


def _found_in(plugin: ImportedPlugin, used: Container[object], inner: Sequence[str]) -> PluginObjects:
    classes = _classes(plugin.module, inner)
    router = plugin.attribute(conventions.ROUTER)
    if router is not None and not is_a(router, APIRouter):
        raise _wrong_type(plugin, conventions.ROUTER, router, "an APIRouter", "Make it with get_router()")
    handlers = plugin.attribute(conventions.EXCEPTION_HANDLERS)
    if _is_nothing(handlers):
        handlers = {}
    if not is_a(handlers, Mapping) and not callable(handlers):
        raise _wrong_type(
            plugin, conventions.EXCEPTION_HANDLERS, handlers, "a dict", "Map an exception class to its handler"
        )
    return PluginObjects(
        plugin=plugin,
        hook_definitions=_subclasses(classes, HookDefinition),
        hooks=_subclasses(classes, Hook),
        drivers=_subclasses(classes, Driver),
        setups=_subclasses(classes, Setup),
        router=router,
        middleware=_middleware_of(plugin),
        exception_handlers=handlers,
        lifecycle=lifecycle_of(plugin, used),
        settings=_settings_of(plugin, classes),
    )


def _middleware_of(plugin: ImportedPlugin) -> tuple[Middleware, ...]:
    middleware = plugin.attribute(conventions.MIDDLEWARE)
    if _is_nothing(middleware):
        return ()
    if not is_a(middleware, (list, tuple)):
        raise _wrong_type(
            plugin, conventions.MIDDLEWARE, middleware, f"a list of {_MIDDLEWARE}", "Write [Middleware(…)]"
        )
    for number, item in enumerate(middleware, 1):
        if not is_a(item, Middleware):
            name = (item if is_a(item, type) else type(item)).__name__
            raise RegistrationError(
                f"item {number} of 'middleware' of plugin '{plugin.name}' is {kind_of(item)}, not a {_MIDDLEWARE}",
                plugin=plugin.name,
                where=str(plugin.file.file),
                hint=f"Write Middleware({name}, …), with the class and its options",
            )
        _check_options(plugin, item)
    return tuple(middleware)


def _check_options(plugin: ImportedPlugin, item: Middleware) -> None:
    """Middleware is made when the application starts; that it takes its options is known before, as to `opa check`."""
    cls: Any = item.cls
    try:
        inspect.signature(cls).bind(None, *item.args, **item.kwargs)
    except ValueError:  # of a builtin, which has no signature
        return
    except TypeError as error:
        kind = cls if hasattr(cls, "__qualname__") else type(cls)
        raise RegistrationError(
            f"middleware '{kind.__module__}.{kind.__qualname__}' of plugin '{plugin.name}' cannot be made:"
            f" TypeError: {error}",
            plugin=plugin.name,
            where=str(plugin.file.file),
            hint="Fix its options: it gets the application, and what stands in Middleware(…) behind its class",
        ) from error


def _is_nothing(value: object) -> bool:
    """Whether it is None, or false as an empty list is; not what raises when it is asked."""
    try:
        return not value
    except Exception:  # noqa: BLE001 - any plugin's
        return False


def _settings_of(plugin: ImportedPlugin, classes: Iterable[type]) -> type[PluginSettings] | None:
    found = _subclasses(classes, PluginSettings)
    if len(found) > 1:
        raise RegistrationError(
            f"plugin '{plugin.name}' declares two models for its settings:"
            f" {', '.join(settings.__name__ for settings in found)}",
            plugin=plugin.name,
            where=where_is(found[1]),
            hint="Keep one, with the others as fields; a leading underscore marks a base class",
        )
    return found[0] if found else None


def _wrong_type(
    plugin: ImportedPlugin, convention: Convention, found: Any, expected: str, hint: str
) -> RegistrationError:
    return RegistrationError(
        f"'{convention.name}' of plugin '{plugin.name}' is {kind_of(found)}, not {expected}",
        plugin=plugin.name,
        where=str(plugin.file.file),
        hint=f"{hint}, or give it another name",
    )


def _plugins_inside_others(plugins: Iterable[ImportedPlugin]) -> list[str]:
    """The modules that are plugins themselves, and lie in the package of another one."""
    modules = {plugin.file.module for plugin in plugins}
    return [
        module
        for module in modules
        if "." in module and any(module[:end] in modules for end in range(len(module)) if module[end] == ".")
    ]


def _classes(module: ModuleType, inner: Iterable[str]) -> list[type]:
    """The classes that the plugin itself defines, each once, and not those that it imports from elsewhere.

    A package may define them in its submodules and import them in its `__init__.py`, but for those which are plugins
    themselves. A name with a leading underscore is a base class of the plugin's own.
    """
    own = f"{module.__name__}."
    others = tuple(f"{name}." for name in inner if name.startswith(own))
    found = [
        value
        for name, value in list(vars(module).items())
        # Not `isinstance`: it asks a proxy what it stands for, and a shared task would be made for another application.
        if is_a(value, type) and not name.startswith("_") and f"{attribute(value, '__module__')}.".startswith(own)
    ]
    # It may have a second name, such as one that it had before.
    return [cls for cls in dict.fromkeys(found) if not f"{cls.__module__}.".startswith(others)]


def _subclasses(classes: Iterable[type], base: type[Base]) -> tuple[type[Base], ...]:
    """Those of `classes` that are of the kind `base`; one that is abstract can only be a base class."""
    return tuple(cls for cls in classes if issubclass(cls, base) and cls not in BASES and not inspect.isabstract(cls))


def _name_of(cls: type[HookDefinition] | type[Hook], plugin: str) -> str:
    name: object = hook_name(cls)
    if not isinstance(name, str):
        raise RegistrationError(
            f"the name of {cls.__name__} of plugin '{plugin}' is {kind_of(name)}, not a text",
            plugin=plugin,
            where=where_is(cls),
            hint="Write name = '…', or nothing for the name of the class",
        )
    return name


def _hook_definitions(objects: Sequence[PluginObjects]) -> dict[str, type[HookDefinition]]:
    definitions: dict[str, type[HookDefinition]] = {}
    for found in objects:
        for definition in found.hook_definitions:
            name = _name_of(definition, found.plugin.name)
            if name in definitions:
                raise RegistrationError(
                    f"hook '{name}' is defined twice: in plugin '{found.plugin.name}'"
                    f" and by {describe(definitions[name])}",
                    plugin=found.plugin.name,
                    where=where_is(definition),
                    hint="Keep one definition; a plugin that fills the hook subclasses Hook",
                )
            _check_definition(found.plugin.name, name, definition)
            definitions[name] = definition
    return definitions


def _check_definition(plugin: str, name: str, definition: type[HookDefinition]) -> None:
    run = getattr(definition, "run", None)
    if run is None:
        return
    if not callable(run):
        problem, hint = f"has {kind_of(run)} as its run", "Write a method, or nothing"
    elif is_async_hook(run) != definition.is_async:
        problem = "has 'async def run', and is_async is false" if is_async_hook(run) else "is async, and has 'def run'"
        hint = "Write 'async def run' with is_async = True, or 'def run' without"
    else:
        return
    raise RegistrationError(
        f"the definition of hook '{name}' in plugin '{plugin}' {problem}",
        plugin=plugin,
        where=where_is(definition),
        hint=hint,
    )


def _hooks(
    objects: Sequence[PluginObjects], definitions: Mapping[str, type[HookDefinition]], made: dict[type[Hook], Hook]
) -> dict[str, Hook]:
    winners: dict[str, tuple[type[Hook], ImportedPlugin]] = {}
    for found in objects:
        for hook in found.hooks:
            name = _name_of(hook, found.plugin.name)
            _check_hook(found.plugin.name, name, hook, definitions)
            _check_run(found.plugin.name, name, hook, definitions[name])
            if name not in winners or hook.order >= winners[name][0].order:
                winners[name] = hook, found.plugin
    for hook, plugin in winners.values():
        if hook not in made:
            made[hook] = _make_hook(hook, plugin)
    return {name: made[hook] for name, (hook, _) in winners.items()}


def _make_hook(hook: type[Hook], plugin: ImportedPlugin) -> Hook:
    try:
        made = hook()
        if not isinstance(made, hook):
            raise TypeError(f"its __new__ gives {kind_of(made)}")
        return made
    except (Exception, SystemExit) as error:
        raise RegistrationError(
            f"hook {hook.__name__} of plugin '{plugin.name}' cannot be made: {summary(error, 'in its __init__')}",
            plugin=plugin.name,
            where=deepest_line_in([plugin.file.file.parent], error) or where_is(hook),
            hint="Fix its __init__, which gets no arguments; what takes long or may fail belongs in ready()",
        ) from error


def _check_hook(plugin: str, name: str, hook: type[Hook], definitions: Mapping[str, type[HookDefinition]]) -> None:
    if name not in definitions:
        known = ", ".join(sorted(definitions)) or "none"
        raise RegistrationError(
            f"plugin '{plugin}' has a hook for '{name}', which no plugin defines",
            plugin=plugin,
            where=where_is(hook),
            hint=f"Fix its name, or add a HookDefinition; hooks that are defined: {known}",
        )
    if not isinstance(hook.order, int | float):
        raise RegistrationError(
            f"the order of hook '{name}' of plugin '{plugin}' is {kind_of(hook.order)}, not a number",
            plugin=plugin,
            where=where_is(hook),
            hint="Write order = 1, or nothing for 0",
        )


def _check_run(plugin: str, name: str, hook: type[Hook], definition: type[HookDefinition]) -> None:
    run = getattr(hook, "run", None)
    if not callable(run):
        what = "has no run()" if run is None else f"has {kind_of(run)} as its run"
        raise RegistrationError(
            f"hook '{name}' of plugin '{plugin}' {what}",
            plugin=plugin,
            where=where_is(hook),
            hint="Define the method run; a base class of your own has a name with a leading underscore",
        )
    if definition.is_async != is_async_hook(run):
        if definition.is_async:
            problem, hint = "is defined as async, but this run() is not", "Write 'async def run'"
        else:
            problem, hint = (
                "is not defined as async, but this run() is",
                "Write 'def run', or is_async = True",
            )
        raise RegistrationError(
            f"hook '{name}' {problem}: plugin '{plugin}', class {hook.__name__};"
            f" it is defined by {describe(definition)}",
            plugin=plugin,
            where=where_is(hook),
            hint=hint,
        )
    _check_signature(plugin, name, hook, definition)


def _check_signature(plugin: str, name: str, hook: type[Hook], definition: type[HookDefinition]) -> None:
    defined = signature_of_run(definition) if hasattr(definition, "run") else None
    filled = signature_of_run(hook) if defined is not None else None
    if defined is None or filled is None:
        return
    reason = misfit(defined, filled)
    if reason is not None:
        raise RegistrationError(
            f"hook '{name}' of plugin '{plugin}' does not fit its definition, run{defined}: {reason};"
            f" it is defined by {describe(definition)}",
            plugin=plugin,
            where=where_is(hook),
            hint=f"Write run with {defined}, and others only with a default",
        )


def _require_hooks(
    objects: Sequence[PluginObjects],
    definitions: Mapping[str, type[HookDefinition]],
    hooks: Mapping[str, Hook],
) -> None:
    plugin_of = {cls: found.plugin.name for found in objects for cls in found.hook_definitions}
    missing = [name for name, definition in definitions.items() if definition.required and name not in hooks]
    if missing:
        definition = definitions[missing[0]]
        others = f" (and so are: {', '.join(missing[1:])})" if missing[1:] else ""
        raise RegistrationError(
            f"hook '{missing[0]}' of plugin '{plugin_of[definition]}' is required, and no plugin that is loaded"
            f" fills it{others}",
            plugin=plugin_of[definition],
            where=where_is(definition),
            hint=f"Add a plugin with a Hook whose name is '{missing[0]}', or look at 'opa plugins' for one skipped",
        )


def _drivers(objects: Sequence[PluginObjects]) -> dict[str, type[Driver]]:
    drivers: dict[str, type[Driver]] = {}
    for found in objects:
        for driver in found.drivers:
            name = getattr(driver, "name", None)
            if not isinstance(name, str) or not name:
                raise RegistrationError(
                    f"driver {driver.__name__} of plugin '{found.plugin.name}' has no name",
                    plugin=found.plugin.name,
                    where=where_is(driver),
                    hint="Write name = '…', or give a base class a name with a leading underscore",
                )
            if name.lower() in drivers:
                raise RegistrationError(
                    f"driver '{name}' of plugin '{found.plugin.name}' is defined twice (case does not matter), also as"
                    f" {describe(drivers[name.lower()])}",
                    plugin=found.plugin.name,
                    where=where_is(driver),
                    hint="Rename one of them",
                )
            _check_connection_errors(found.plugin.name, name, driver)
            _check_scopes(found.plugin.name, name, driver)
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
