"""The plugins that were found: which are loaded, which are not and why, and what each provides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from starlette.routing import BaseRoute, WebSocketRoute

from opa._compat.fastapi.inclusion import leaves
from opa.core.hooks import hook_name
from opa.loading.discover import as_plugin
from opa.loading.filters import Decision
from opa.loading.plugin_commands import commands_of

if TYPE_CHECKING:
    from opa.core.manager import PluginManager
    from opa.core.register import PluginObjects
    from opa.loading.candidates import Refused

Status = Literal["loaded", "broken", "skipped"]


@dataclass(frozen=True)
class PluginInfo:
    """A plugin that was found.

    Attributes:
        name: by which other plugins, and settings, know it.
        version: as its metadata has it; empty without one.
        description: as its metadata has it.
        file: its module, or the `__init__.py` of its package.
        built_in: whether it lies among those that come with opa-stack.
        status: `loaded`; `broken` if it was skipped because of a mistake; `skipped` if a filter did not let it through.
        reasons: why it is not loaded.
        tags: those of its metadata, in order.
        requires: the plugins that its metadata requires, with versions.
        packages: the packages that its metadata requires, with versions.
        hides: files of plugins of the same name that are not loaded because of it.
        settings: the names of its own settings, in order.
        provides: what it defines, a line each, such as `GET /orders` or `task shop.report`.
        import_seconds: that its import took; None if it is not loaded.
    """

    name: str
    version: str
    description: str
    file: str
    built_in: bool
    status: Status
    reasons: list[str]
    tags: list[str]
    requires: list[str]
    packages: list[str]
    hides: list[str]
    settings: list[str]
    provides: list[str]
    import_seconds: float | None


def plugins_of(manager: PluginManager) -> list[PluginInfo]:
    """Each plugin that was found: those that are loaded in load order, then the others."""
    objects = {found.plugin.name: found for found in manager.registry.objects}
    positions = {name: position for position, name in enumerate(objects)}
    decisions = sorted(manager.decisions, key=lambda decision: positions.get(decision.plugin.name, len(positions)))
    found = [_info(decision, objects.get(decision.plugin.name), manager) for decision in decisions]
    return found + [_info(_refusal(refused), None, manager) for refused in manager.refused]


def _refusal(refused: Refused) -> Decision:
    return Decision(as_plugin(refused), (refused.problem.what,))


def _info(decision: Decision, found: PluginObjects | None, manager: PluginManager) -> PluginInfo:
    plugin = decision.plugin
    metadata = plugin.metadata
    error = manager.roster.skipped.get(plugin.name) if decision.load else None
    return PluginInfo(
        name=plugin.name,
        version=str(metadata.version) if metadata.version else "",
        description=metadata.description,
        file=str(plugin.file),
        built_in=plugin.is_built_in,
        status="loaded" if found else "broken" if error else "skipped",
        reasons=[str(error)] if error else list(decision.reasons),
        tags=sorted(metadata.tags),
        requires=[str(requirement) for requirement in metadata.requires],
        packages=[str(requirement) for requirement in metadata.packages],
        hides=[str(path) for path in plugin.shadows],
        settings=sorted(found.settings.model_fields) if found and found.settings else [],
        provides=[*_provides(found), *_commands(found, manager), *_declared(found, manager)] if found else [],
        import_seconds=found.plugin.seconds if found else None,
    )


def _declared(found: PluginObjects, manager: PluginManager) -> list[str]:
    """What the plugin declared while it was imported: conventions, tasks, and members of groups."""
    module = found.plugin.file.module
    conventions = manager.registry.conventions.items()
    declared = [f"convention {convention.name}" for convention, plugin in conventions if plugin == found.plugin.name]
    declared += [
        f"{convention.name} for plugin {plugin}"
        for convention, plugin in conventions
        if found.plugin.found(convention) is not None
    ]
    declared += [f"task {name}" for name in manager.celery.tasks_of(module)] if manager.tasks.are_used else []
    for group in manager.groups.names():
        for member in manager.groups.members(group):
            if f"{member.module or member.uri}.".startswith(f"{module}."):
                declared.append(f"{member.uri} in group {group}")
    return declared


def _provides(found: PluginObjects) -> list[str]:
    provides = [f"hook definition {hook_name(definition)}" for definition in found.hook_definitions]
    provides += [f"hook {hook_name(hook)} (order {hook.order})" for hook in found.hooks]
    provides += [f"driver {driver.name}" for driver in found.drivers]
    provides += [f"setup {setup.__name__}" for setup in found.setups]
    provides += [f"{step}()" for step in found.lifecycle.functions]
    provides += [f"settings {found.settings.__name__}"] if found.settings else []
    provides += [f"middleware {getattr(item.cls, '__name__', item.cls)}" for item in found.middleware]
    provides += [_route(route, path) for route, path in leaves(found.router.routes)] if found.router else []
    return provides


def _commands(found: PluginObjects, manager: PluginManager) -> list[str]:
    """Its commands, which are in its source: that is read once, since a page of the console asks every two seconds."""
    known: dict[str, list[str]] = manager.kept.setdefault(f"{__name__}.commands", {})
    name = found.plugin.name
    if name not in known:
        known[name] = [f"command opa {' '.join(command.path)}" for command in commands_of(found.plugin.file)]
    return known[name]


def _route(route: BaseRoute, path: str | None) -> str:
    methods = ",".join(sorted(getattr(route, "methods", None) or ()))
    kind = methods or ("websocket" if isinstance(route, WebSocketRoute) else type(route).__name__.lower())
    return f"{kind} {path or ''}".strip()
