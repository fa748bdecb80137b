"""The order of the plugins: what one requires comes before it, otherwise the order in which they were found."""

from __future__ import annotations

import heapq
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata as distributions
from typing import TYPE_CHECKING

from opa._util.distributions import ConditionError, applies_here, canonical_name
from opa._util.suggestions import nearest
from opa.errors import MissingPackagesError, PackagesError, RequirementError
from opa.loading.discover import PluginFile
from opa.loading.former_plugins import hint_for_former
from opa.loading.own_extras import OWN, stands_for
from opa.loading.package_lock import install_command

if TYPE_CHECKING:
    from packaging.requirements import Requirement

PLUGIN_INTERFACE = "1.0"
"""The version of what plugins may rely on; it grows by one in front of the dot when that becomes less."""


def required_name(plugin: PluginFile) -> str:
    """The name by which other plugins require `plugin`."""
    return plugin.metadata.name or plugin.name


def required_plugin(requirement: Requirement, named: Mapping[str, PluginFile]) -> PluginFile | None:
    """The plugin of `named` that is meant: by its very name, or one that is the same for packages, as `my-auth` is."""
    return named.get(requirement.name) or named.get(canonical_name(requirement.name))


def unmet(plugin: PluginFile, others: Mapping[str, PluginFile]) -> RequirementError | None:
    """What `plugin` requires and does not get, as the error to raise.

    Args:
        plugin: whose metadata is looked at.
        others: the plugins that will be loaded, by the name by which they are required.
    """
    required = plugin.metadata.requires
    if problems := {each: problem for each in required if (problem := _unmet_plugin(each, others))}:
        missing = next((each.name for each in problems if required_plugin(each, others) is None), None)
        near = nearest(missing, others) if missing else None
        former = hint_for_former(missing) if missing else None
        hint = former or (f"Did you mean '{near}'?" if near else "Add it, or fix the requirement")
        return _error(plugin, f"requires {_all_of('plugin', problems)}", hint)
    if plugin.metadata.opa is not None and PLUGIN_INTERFACE not in plugin.metadata.opa:
        return _error(
            plugin,
            f"works with version {plugin.metadata.opa} of the plugin interface, and this is {PLUGIN_INTERFACE}",
            "Install a version of the plugin, or of opa-stack, that fits",
        )
    return unmet_packages(plugin)


def unmet_packages(plugin: PluginFile) -> RequirementError | None:
    """What `plugin` requires of Python and its packages, and does not get, as the error to raise."""
    python = plugin.metadata.python
    if python is not None and not python.contains(here := platform.python_version(), prereleases=True):
        return _error(
            plugin, f"requires Python {python}, and this is {here}", "Use a Python that fits, or fix the plugin"
        )
    if (refused := _refused_extra(plugin)) is not None:
        return refused
    if problems := missing_packages(plugin):
        command = install_command(problems)
        hint = f"Install {'them' if len(problems) > 1 else 'it'}: {command}"
        return _error(plugin, f"requires {_all_of('Python package', problems)}", hint)
    return None


def _refused_extra(plugin: PluginFile) -> RequirementError | None:
    """The error where `plugin` needs another opa-stack, or an extra that it does not have."""
    for requirement in plugin.metadata.packages:
        try:
            stands_for(requirement)
        except PackagesError as error:
            return _error(plugin, f"requires {error.problem}", error.hint)
    return None


def missing_packages(plugin: PluginFile) -> dict[Requirement, str]:
    """What `plugin` needs and what is not installed, each with the reason in words that follow it."""
    return {each: problem for each in plugin.metadata.packages if (problem := unmet_package(each))}


def refuse_missing_packages(plugins: Iterable[PluginFile]) -> None:
    """Tell all packages that are missing at once, where more than one plugin needs some.

    Raises:
        MissingPackagesError: that is so; it has a line for each plugin, and the command that installs all of them.
    """
    found: list[RequirementError] = []
    packages: list[Requirement] = []
    refused = 0
    for plugin in plugins:
        if (error := _refused_extra(plugin)) is not None:
            found.append(error)
            refused += 1
        elif missing := missing_packages(plugin):
            found.append(_error(plugin, f"requires {_all_of('Python package', missing)}"))
            packages += missing
    if len(found) > 1 and packages:
        which = "the others" if refused else "all of them"
        raise MissingPackagesError(
            tuple(found),
            f"{len(found)} plugins have no packages that they need",
            hint=f"Install {which}: {install_command(packages)}",
        )


def _all_of(kind: str, problems: Mapping[Requirement, str]) -> str:
    """What is required, each with its problem."""
    return "; ".join(f"the {kind} '{requirement}', {problem}" for requirement, problem in problems.items())


def _error(plugin: PluginFile, problem: str, hint: str | None = None) -> RequirementError:
    return RequirementError(f"plugin '{plugin.name}' {problem}", plugin=plugin.name, where=str(plugin.file), hint=hint)


def _unmet_plugin(requirement: Requirement, others: Mapping[str, PluginFile]) -> str:
    try:
        return _unmet_version(requirement, others) if applies_here(requirement) else ""
    except ConditionError as error:
        return str(error)


def _unmet_version(requirement: Requirement, others: Mapping[str, PluginFile]) -> str:
    other = required_plugin(requirement, others)
    if other is None:
        return "which is not there"
    if not requirement.specifier:
        return ""
    version = other.metadata.version
    if version is None:
        return f"and plugin '{other.name}' ({other.file}) says no version"
    if not requirement.specifier.contains(version, prereleases=True):
        return f"and plugin '{other.name}' ({other.file}) is version {version}"
    return ""


def unmet_package(requirement: Requirement) -> str:
    """Why the installed packages do not meet a requirement, in words that follow it; empty where they do."""
    try:
        if not applies_here(requirement):
            return ""
    except ConditionError as error:
        return str(error)
    if canonical_name(requirement.name) == OWN:
        return _unmet_extra(requirement)
    try:
        version = distributions.version(requirement.name)
    except distributions.PackageNotFoundError:
        return "which is not installed"
    if not requirement.specifier.contains(version, prereleases=True):
        return f"and version {version} is installed"
    return ""


def _unmet_extra(requirement: Requirement) -> str:
    """What is not installed of that for which a requirement of opa-stack stands."""
    lacking: dict[str, list[str]] = {}
    for each in stands_for(requirement):
        if problem := unmet_package(each):
            lacking.setdefault(problem, []).append(str(each).partition(";")[0])
    plural = {"which is not installed": "which are not installed"}
    return "; ".join(
        f"which needs {', '.join(names)}, {plural.get(problem, problem) if len(names) > 1 else problem}"
        for problem, names in lacking.items()
    )


def by_name(plugins: Iterable[PluginFile]) -> dict[str, PluginFile]:
    """The plugins by the name by which others require them, and by that as packages have it; of two the first."""
    named: dict[str, PluginFile] = {}
    plugins = list(plugins)
    for plugin in plugins:
        named.setdefault(required_name(plugin), plugin)
    for plugin in plugins:
        named.setdefault(canonical_name(required_name(plugin)), plugin)
    return named


def in_order(plugins: Sequence[PluginFile]) -> tuple[PluginFile, ...]:
    """The plugins with each one behind those that it requires, and otherwise in the order in which they were given.

    Raises:
        RequirementError: some require one another in a circle; the message has it as a path.
    """
    positions = {plugin.name: position for position, plugin in enumerate(plugins)}
    named = by_name(plugins)
    needs = {
        plugin.name: {
            required.name
            for requirement in plugin.metadata.requires
            if (required := required_plugin(requirement, named)) is not None and applies_here(requirement)
        }
        for plugin in plugins
    }
    needed_by: dict[str, list[str]] = {name: [] for name in positions}
    for name, others in needs.items():
        for other in others:
            needed_by[other].append(name)
    waiting_for = {name: len(others) for name, others in needs.items()}
    ready = [position for name, position in positions.items() if not waiting_for[name]]
    heapq.heapify(ready)
    ordered: list[PluginFile] = []
    while ready:
        plugin = plugins[heapq.heappop(ready)]
        ordered.append(plugin)
        for name in needed_by[plugin.name]:
            waiting_for[name] -= 1
            if not waiting_for[name]:
                heapq.heappush(ready, positions[name])
    if len(ordered) < len(plugins):
        raise _cycle({name: needs[name] for name, count in waiting_for.items() if count}, plugins, positions)
    return tuple(ordered)


def _cycle(
    needs: Mapping[str, set[str]], plugins: Sequence[PluginFile], positions: Mapping[str, int]
) -> RequirementError:
    """The error for a circle among `needs`: along what each one requires, until one comes again."""
    path = [min(needs, key=positions.__getitem__)]
    while path[-1] not in path[:-1]:
        path.append(min(needs[path[-1]] & needs.keys(), key=positions.__getitem__))
    circle = path[path.index(path[-1]) :]
    first = min(circle, key=positions.__getitem__)
    start = circle.index(first)
    circle = [*circle[start:-1], *circle[:start], first]
    return RequirementError(
        f"plugins require one another in a circle: {' -> '.join(circle)}",
        plugin=first,
        where=str(plugins[positions[first]].file),
        hint="Remove one of the requirements, or move what both need into a third plugin",
    )
