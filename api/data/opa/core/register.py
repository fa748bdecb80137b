"""Collect what the plugins define, check that it fits together, and say who wins."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from types import FunctionType, ModuleType
from typing import Any, NamedTuple, TypeVar

from fastapi import APIRouter
from starlette.middleware import Middleware

from opa._util.objects import attribute, is_a
from opa._util.sources import where_is
from opa._util.words import kind_of
from opa.core.drivers import Driver
from opa.core.hooks import Hook, HookDefinition
from opa.core.lifecycle import Lifecycle, lifecycle_of
from opa.core.plugin_settings import PluginSettings
from opa.core.registered_drivers import drivers_by_name
from opa.core.registered_hooks import called_hooks, hook_definitions, require_hooks
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


class PluginObjects(NamedTuple):
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


class Registry(NamedTuple):
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
            found = [plugin for plugin in plugins if plugin.name in roster]
            return register(found, used, made, lambda plugin: roster.policy.limit(plugin, "IMPORT"))
        except PluginError as error:
            if error.plugin is None:
                raise
            roster.skip(error.plugin, error)


def register(
    plugins: Sequence[ImportedPlugin],
    used: Container[object],
    made: dict[type[Hook], Hook],
    limit: Callable[[str], float],
) -> Registry:
    """Collect and check; hook definitions before hooks, whatever the order of the plugins.

    Args:
        plugins: those that are in.
        used: as above.
        made: as above.
        limit: seconds that a hook of a plugin may take to be made.

    Raises:
        RegistrationError: two definitions of a hook, a hook without one, wrong asyncness, a hook that cannot be made, a
            required hook that is not filled, two drivers of a name, or an object of the wrong type under a
            conventional name; a convention that is there already, or a file where it wants a folder.
        LifecycleError: `ready`, `startup` or `shutdown` cannot be called.
    """
    inner = _plugins_inside_others(plugins)
    objects = tuple(_objects_of(plugin, used, inner) for plugin in plugins)
    written = [(found.plugin.name, definition) for found in objects for definition in found.hook_definitions]
    definitions = hook_definitions(written)
    hooks = called_hooks(((found.plugin, hook) for found in objects for hook in found.hooks), definitions, made, limit)
    require_hooks({definition: plugin for plugin, definition in written}, definitions, hooks)
    declared = _conventions(plugins)
    _check_folders(plugins, declared)
    return Registry(
        objects=objects,
        starting=tuple(found for found in objects if found.setups or found.lifecycle.functions),
        hook_definitions=definitions,
        hooks=hooks,
        drivers=drivers_by_name((found.plugin.name, driver) for found in objects for driver in found.drivers),
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
            raise RegistrationError(
                f"item {number} of 'middleware' of plugin '{plugin.name}' is {kind_of(item)}, not a {_MIDDLEWARE}",
                plugin=plugin.name,
                where=str(plugin.file.file),
                hint=f"Write {_as_middleware(item)}, with the class and its options",
            )
        _check_options(plugin, item)
    return tuple(middleware)


def _as_middleware(item: object) -> str:
    """What to write in the place of what is none."""
    if is_a(item, FunctionType):
        return f"Middleware(BaseHTTPMiddleware, dispatch={attribute(item, '__name__')})"
    kind = item if is_a(item, type) else type(item)
    is_plain = attribute(kind, "__module__") == "builtins"
    return "Middleware(…)" if is_plain else f"Middleware({attribute(kind, '__name__')}, …)"


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
