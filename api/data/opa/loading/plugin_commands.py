"""Which commands plugins have, found without importing them: `opa --help` shows them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from opa._util.reading import UnreadableError, read_text
from opa.loading.conventions import COMMANDS, COMMANDS_MODULE
from opa.loading.discover import PluginFile

OWN_COMMANDS = frozenset(
    {
        "audit",
        "check",
        "config",
        "deps",
        "health",
        "new",
        "openapi",
        "passwd",
        "plugins",
        "schedule",
        "shell",
        "start",
        "tasks",
        "up",
    }
)
"""The commands of opa-stack that come from no plugin: no plugin replaces one of them."""
OWN_GROUPS = {
    "deps": frozenset({"check", "install"}),
    "schedule": frozenset({"list", "pause", "resume", "run"}),
    "tasks": frozenset({"again", "cancel", "dead", "drop", "list", "retry", "run", "runs", "show"}),
}
"""Those of them to which a plugin may add, with the commands that they have."""


@dataclass(frozen=True)
class PluginCommand:
    """A command that a plugin has.

    Attributes:
        path: the words behind `opa` by which it is called: one, or two for a command in a group of opa-stack.
        plugin: whose it is.
        help: a line about it; empty where that is not known without an import.
        is_lifted: whether it is one of the commands of the plugin's application, and not the application itself.
    """

    path: tuple[str, ...]
    plugin: PluginFile
    help: str
    is_lifted: bool


def commands_of(plugin: PluginFile) -> list[PluginCommand]:
    """The commands of a plugin; nothing is imported."""
    if plugin.metadata.commands:
        return [
            PluginCommand(tuple(path.split()), plugin, help_text, is_lifted=True)
            for path, help_text in plugin.metadata.commands.items()
        ]
    help_text = _help_of_application(plugin)
    name = plugin.name.replace("_", "-")
    return [] if help_text is None else [PluginCommand((name,), plugin, help_text, is_lifted=False)]


def reachable(plugins: Iterable[PluginFile]) -> dict[tuple[str, ...], PluginCommand]:
    """The commands of plugins that can be called, by their path.

    Args:
        plugins: those that the filters let through. Built-in ones come first, and then the first has a command.
    """
    return {command.path: command for command, problem in with_problems(plugins) if problem is None}


def with_problems(plugins: Iterable[PluginFile]) -> Iterator[tuple[PluginCommand, str | None]]:
    """The commands of plugins, each with the reason for which it cannot be called, if there is one."""
    found: dict[tuple[str, ...], PluginCommand] = {}
    for plugin in sorted(plugins, key=lambda each: not each.is_built_in):
        for command in commands_of(plugin):
            problem = _problem(command, found)
            if problem is None:
                found[command.path] = command
            yield command, problem


def unreadable_files(plugins: Iterable[PluginFile]) -> Iterator[tuple[PluginFile, Path, str]]:
    """The plugins with a `commands.py` that cannot be read, and why: a start does not look at it."""
    for plugin in plugins:
        file = plugin.file.with_name(COMMANDS_MODULE.name)
        if plugin.is_package and not plugin.is_built_in and (file.is_symlink() or file.exists()):
            try:
                read_text(file)
            except UnreadableError as error:
                yield plugin, file, "is a link that leads nowhere" if error.is_missing else str(error)


def _problem(command: PluginCommand, found: dict[tuple[str, ...], PluginCommand]) -> str | None:
    first, *rest = command.path
    if command.path in found:
        return f"plugin '{found[command.path].plugin.name}' has a command of that name, too"
    if rest and first not in OWN_GROUPS:
        return f"there is no group '{first}' to which a plugin can add; there are {', '.join(OWN_GROUPS)}"
    is_own = rest[0] in OWN_GROUPS[first] if rest else first in OWN_COMMANDS
    return "opa-stack has a command of that name" if is_own else None


def _help_of_application(plugin: PluginFile) -> str | None:
    """What the Typer application of a plugin says in its `help`, where it is a text in the source; None without one."""
    for file in _files(plugin):
        try:
            source = read_text(file)
            values = list(_values_of(COMMANDS.name, ast.parse(source))) if COMMANDS.name in source else []
        except (UnreadableError, SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # which its import tells
        for value in values:
            if value is None:
                return ""
            if ast.unparse(value.func).endswith("Typer"):
                texts = (each.value for each in value.keywords if each.arg == "help")
                return next((text.value for text in texts if _is_text(text)), "")  # type: ignore[attr-defined]
    return None


def _files(plugin: PluginFile) -> Iterator[Path]:
    yield plugin.file
    if plugin.is_package:
        yield from (
            file
            for file in (
                plugin.file.with_name(COMMANDS_MODULE.name),
                plugin.file.parent / COMMANDS_MODULE.module / "__init__.py",
            )
            if file.is_file()
        )


def _values_of(name: str, tree: ast.Module) -> Iterator[ast.Call | None]:
    """What the source gives to `name` at its top: a call; None where it is imported."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            if any((alias.asname or alias.name) == name for alias in node.names) and node.module is not None:
                yield None
        elif isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                yield node.value


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
