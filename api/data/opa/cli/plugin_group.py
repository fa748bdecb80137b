"""A group of commands to which plugins add: theirs are found without an import, and loaded when one is called."""

from __future__ import annotations

import os
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from opa._util.words import kind_of
from opa.errors import OpaError, PluginError, StartError
from opa.loading import conventions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opa.core.manager import PluginManager
    from opa.loading.importing import ImportedPlugin
    from opa.loading.plugin_commands import PluginCommand

PANEL = "Commands of plugins"
ITSELF = frozenset({"opa", "opa-stack"})
"""The names of the program, which are no commands of it."""
ELSEWHERE = {
    **dict.fromkeys(("runserver", "serve", "dev", "run"), "opa up"),
    "startproject": "opa new NAME",
    "startapp": "opa new --plugin NAME",
    "makemigrations": "opa migrate make",
    "showmigrations": "opa migrate plan",
    "createsuperuser": "opa passwd NAME",
    "test": "pytest",
    "worker": "opa start with MODE=worker",
    "beat": "opa start with MODE=beat",
}
"""What is used here for commands that other frameworks have."""


class PluginGroup(TyperGroup):
    """The commands of `opa` itself, or of one of its groups, with those that plugins add."""

    _of_plugins: Mapping[str, _OfPlugin] | None = None

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names. Where those of plugins are not known, standard error says why; not to a shell that completes."""
        try:
            of_plugins = self._found(ctx)
        except OpaError as error:
            if not ctx.resilient_parsing:
                typer.echo(f"opa: the commands of plugins are not shown: {error}", err=True)
            of_plugins = {}
        return [*super().list_commands(ctx), *of_plugins]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name; that of a plugin only has a help text."""
        own = super().get_command(ctx, cmd_name)
        return self._found(ctx).get(cmd_name) if own is None else own

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is called, and its arguments. That of a plugin is loaded, with its project.

        For a shell that completes a word, one that is not known, or has a mistake, is a command without parameters.

        Raises:
            OpaError: the project has a mistake.
        """
        if not ctx.resilient_parsing:
            return self._resolved(ctx, args)
        found: Any = None, None, args
        with _silence(), suppress(OpaError):
            found = self._resolved(ctx, args)
        return found if found[1] is not None else (args[0], TyperCommand(args[0]), args[1:])

    def _resolved(self, ctx: Any, args: list[str]) -> Any:
        if ctx.parent is None and args[0] in ITSELF and len(args) > 1 and not args[1].startswith("-"):
            args = args[1:]  # as in `docker compose run api opa migrate`: the entrypoint of the image is opa already
        if args[0] not in self.commands and not args[0].startswith("-"):
            self.commands = {**self.commands, **self._found(ctx)}  # also for what may have been meant
        if ctx.parent is None and args[0] in ELSEWHERE and args[0] not in self.commands:
            ctx.fail(f"No such command '{args[0]}'. Use: {ELSEWHERE[args[0]]}")
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.loaded(ctx) if isinstance(command, _OfPlugin) else command, rest

    def _found(self, ctx: Any) -> Mapping[str, _OfPlugin]:
        """Those of plugins, by name.

        Raises:
            OpaError: a mistake in the settings, or in a plugin path.
        """
        if self._of_plugins is None:
            from opa.loading.find import find
            from opa.loading.plugin_commands import reachable
            from opa.settings.load import load_settings

            group = () if ctx.parent is None else (self.name,)
            decisions = find(load_settings(base_name="this command")).decisions
            commands = reachable(decision.plugin for decision in decisions if decision.load)
            self._of_plugins = {
                path[-1]: _OfPlugin(command) for path, command in commands.items() if path[:-1] == group
            }
        return self._of_plugins


class _OfPlugin(TyperCommand):
    """The command of a plugin, as long as only its name and what is said about it are needed."""

    def __init__(self, command: PluginCommand) -> None:
        super().__init__(
            name=command.path[-1],
            help=command.help or f"The commands of plugin {command.plugin.name}.",
            rich_help_panel=None if command.plugin.is_built_in else PANEL,
        )
        self._command = command

    def loaded(self, ctx: Any) -> Any:
        """The command itself.

        Raises:
            OpaError: the project, the plugin or its commands have a mistake.
        """
        from opa.cli.beside_up import manager_beside_up
        from opa.cli.command_functions import in_session
        from opa.cli.command_session import CommandSession

        manager = manager_beside_up("command")
        plugin = self._plugin(manager)
        application = _application(plugin, manager)
        session = CommandSession(manager)
        ctx.call_on_close(session.close)
        try:
            group = typer.main.get_group(in_session(application, session))
        except (RuntimeError, TypeError, ValueError, AssertionError, NameError) as error:
            raise PluginError(
                f"the commands of plugin '{plugin.name}' cannot be used: {error}",
                plugin=plugin.name,
                where=str(plugin.file.file),
                hint="See which parameters Typer knows, at https://typer.tiangolo.com/tutorial/parameter-types/",
            ) from error
        if not self._command.is_lifted:
            group.name = self.name
            group.no_args_is_help = group.no_args_is_help or not group.invoke_without_command
            return group
        command = group.commands.get(self.name or "")
        if command is None:
            raise PluginError(
                f"the metadata of plugin '{plugin.name}' has the command '{self.name}', which its Typer application"
                " does not have",
                plugin=plugin.name,
                where=str(plugin.file.file),
                hint=f"It has: {', '.join(group.commands) or 'none'}",
            )
        return command

    def _plugin(self, manager: PluginManager) -> ImportedPlugin:
        name = self._command.plugin.name
        for found in manager.registry.objects:
            if found.plugin.name == name and name in manager.roster:
                return found.plugin
        reason = manager.roster.skipped.get(name)
        raise StartError(
            f"plugin '{name}', which has the command '{self.name}', is skipped: {reason or 'it was not loaded'}",
            hint="Fix the plugin; opa plugins shows all of them",
        )


@contextmanager
def _silence() -> Iterator[None]:
    """Nothing that is printed in the block is shown, by plugins that are imported too: it is not for a shell."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield


def _application(plugin: ImportedPlugin, manager: PluginManager) -> typer.Typer:
    from opa.loading.importing import import_part

    value, file = plugin.attribute(conventions.COMMANDS), str(plugin.file.file)
    if not isinstance(value, typer.Typer):
        part = import_part(plugin, conventions.COMMANDS_MODULE.module, manager.roster, manager.folders)
        if part is not None:
            value, file = getattr(part, conventions.COMMANDS.name, None), part.__file__ or file
    if not isinstance(value, typer.Typer):
        raise PluginError(
            f"'{conventions.COMMANDS.name}' of plugin '{plugin.name}' is {kind_of(value)}, not a typer.Typer",
            plugin=plugin.name,
            where=f"{file}:1",
            hint="Write commands = typer.Typer(), and @commands.command() before its functions",
        )
    return value
