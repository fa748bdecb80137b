"""See that the hooks of the plugins fit their definitions, and choose the one that is called for each."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping

from opa._util.sources import describe, where_is
from opa._util.watchdog import TimeLimitError, time_limit
from opa._util.words import kind_of
from opa.core.hook_signature import misfit, signature_of_run
from opa.core.hooks import Hook, HookDefinition, hook_name, is_async_hook
from opa.errors import RegistrationError
from opa.loading.import_errors import deepest_line_in, summary
from opa.loading.importing import ImportedPlugin


def hook_definitions(written: Iterable[tuple[str, type[HookDefinition]]]) -> dict[str, type[HookDefinition]]:
    """The definitions by their names.

    Args:
        written: the name of a plugin, and a definition that it has.

    Raises:
        RegistrationError: two have one name, or the `run` of one is of no use.
    """
    definitions: dict[str, type[HookDefinition]] = {}
    for plugin, definition in written:
        name = _name_of(definition, plugin)
        if name in definitions:
            raise RegistrationError(
                f"hook '{name}' is defined twice: in plugin '{plugin}' and by {describe(definitions[name])}",
                plugin=plugin,
                where=where_is(definition),
                hint="Keep one definition; a plugin that fills the hook subclasses Hook",
            )
        _check_definition(plugin, name, definition)
        definitions[name] = definition
    return definitions


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


def called_hooks(
    written: Iterable[tuple[ImportedPlugin, type[Hook]]],
    definitions: Mapping[str, type[HookDefinition]],
    made: dict[type[Hook], Hook],
    limit: Callable[[str], float],
) -> dict[str, Hook]:
    """The hook that is called for each name: of those that fill it, the one with the highest order.

    Args:
        written: a plugin, and a hook that it has.
        definitions: by name.
        made: the hooks that were made before, which are taken again; those that are made now are added.
        limit: seconds that the hooks of a plugin may take to be made, each.

    Raises:
        RegistrationError: a hook has no definition, does not fit it, or cannot be made in time.
    """
    winners: dict[str, tuple[type[Hook], ImportedPlugin]] = {}
    for plugin, hook in written:
        name = _name_of(hook, plugin.name)
        _check_hook(plugin.name, name, hook, definitions)
        _check_run(plugin.name, name, hook, definitions[name])
        if name not in winners or hook.order >= winners[name][0].order:
            winners[name] = hook, plugin
    for hook, plugin in winners.values():
        if hook not in made:
            made[hook] = _make_hook(hook, plugin, limit(plugin.name))
    return {name: made[hook] for name, (hook, _) in winners.items()}


def require_hooks(
    plugin_of: Mapping[type[HookDefinition], str],
    definitions: Mapping[str, type[HookDefinition]],
    hooks: Container[str],
) -> None:
    """See that each hook is filled whose definition requires it.

    Args:
        plugin_of: the names of the plugins that have the definitions.
        definitions: by name.
        hooks: the names of those that are filled.

    Raises:
        RegistrationError: one is not; it names the others, too.
    """
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


def _make_hook(hook: type[Hook], plugin: ImportedPlugin, limit: float) -> Hook:
    try:
        with time_limit(limit):
            made = hook()
        if not isinstance(made, hook):
            raise TypeError(f"its __new__ gives {kind_of(made)}")
        return made
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin may raise anything, and its time may be over
        late = f"it takes longer than {limit:g} s" if isinstance(error, TimeLimitError) else ""
        raise RegistrationError(
            f"hook {hook.__name__} of plugin '{plugin.name}' cannot be made:"
            f" {late or summary(error, 'in its __init__')}",
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
