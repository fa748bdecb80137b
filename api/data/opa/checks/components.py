"""Names in `Component("…")` that are no component of the settings, and parameters that nothing fits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from fastapi.dependencies.models import Dependant

from opa._util.sources import where_is, where_is_function
from opa._util.suggestions import nearest
from opa.checks.finding import Finding
from opa.checks.owners import Owners
from opa.core.arguments import INJECTABLE, not_injectable, parameters_of
from opa.core.depends import ComponentDependency
from opa.core.lifecycle import GROUPS
from opa.core.per_use_misfits import misfit
from opa.errors import SetupError

if TYPE_CHECKING:
    from opa.core.manager import PluginManager
    from opa.http.application import Api

NOT_THERE = "which OPTIONAL_COMPONENTS does not have"


def unknown_components_in_routes(app: Api) -> Iterator[Finding]:
    """A finding for each plugin and name; such a route answers 503, whatever happens."""
    known = app.manager.component_states
    routes: dict[tuple[str | None, str], list[Any]] = {}
    owners = Owners(app)
    for route, owner in owners.routes():
        for name in _components(getattr(route, "dependant", None)):
            if name.lower() not in known:
                routes.setdefault((owner, name), []).append(route)
    for (owner, name), found in routes.items():
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        yield Finding(
            f"{owners.words_for(found[0], owner)} asks for the component '{name}', {NOT_THERE}, and answers 503{more}",
            plugin=owner,
            where=where_is_function(found[0].endpoint),
            hint=hint_for(name, app.manager),
        )


def mistakes_at_start(manager: PluginManager) -> Iterator[SetupError]:
    """Setups, `ready`, `startup` and `shutdown` that cannot be called, since they ask for something unknown.

    So are the functions of the groups `startup` and `shutdown`, which belong to no plugin that could be skipped.
    """
    for function, what, where, plugin in _functions(manager):
        try:
            asked = list(parameters_of(function))
        except Exception as error:  # noqa: BLE001 - annotations are code, and the start fails with the same
            problem = f"{what} has annotations that cannot be read: {type(error).__name__}"
            yield SetupError(f"{problem}: {error}", plugin=plugin, where=where, hint="Fix them")
            continue
        for parameter in asked:
            if parameter.component is not None:
                name = parameter.component.name
                if name.lower() not in manager.component_states:
                    problem = f"{what} asks for the component '{name}', {NOT_THERE}"
                    yield SetupError(problem, plugin=plugin, where=where, hint=hint_for(name, manager))
                elif (driver := manager.component_states[name.lower()].driver) is not None:
                    wrong = misfit(name, driver.per_use, function, what)
                    if wrong is not None:
                        yield SetupError(wrong.problem, plugin=plugin, where=where, hint=wrong.hint)
            elif parameter.is_required and parameter.name not in INJECTABLE:
                yield not_injectable(parameter.name, INJECTABLE, what, where=where, plugin=plugin)


def _functions(manager: PluginManager) -> Iterator[tuple[Callable[..., Any], str, str, str | None]]:
    """What is called when a process starts and stops: with its name, its place, and its plugin."""
    for found in manager.registry.starting:
        plugin = found.plugin.name
        for setup in found.setups:
            for function in (setup.__init__, getattr(setup, "run", None)):
                if callable(function):
                    yield function, f"setup {setup.__name__} of plugin '{plugin}'", where_is(setup), plugin
        for step, function in found.lifecycle.functions.items():
            yield function, f"{step}() of plugin '{plugin}'", where_is_function(function), plugin
    for group in GROUPS.values():
        for uri, function in manager.groups.get(group.name).items():
            yield function, f"'{uri}' in the group {group.name}", where_is_function(function), None


def _components(dependant: Dependant | None) -> Iterator[str]:
    if dependant is None:
        return
    if isinstance(dependant.call, ComponentDependency):
        yield dependant.call.name
    for each in dependant.dependencies:
        yield from _components(each)


def hint_for(name: str, manager: PluginManager) -> str:
    """What to do about an unknown component."""
    near = nearest(name.lower(), manager.component_states)
    if near is not None:
        return f"Did you mean '{near}'?"
    return f"Add it there, or use one of these: {', '.join(manager.component_states) or 'none'}"
