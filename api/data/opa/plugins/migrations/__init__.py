"""Migrations: the folder `migrations/` of plugins, and `opa migrate`, which runs what is in them.

Nothing more is imported before it is asked for, and Alembic only where a migration of a SQL database runs.
"""

from __future__ import annotations

from collections.abc import Sequence

from opa import Hook, HookDefinition, PluginManager, Setup, config, get_plugin_manager, register
from opa.plugins.migrations.convention import MIGRATIONS


class PendingDefinition(HookDefinition):
    """Says which migrations have not run."""

    name = "migrations.pending"

    def run(self) -> Sequence[str]:
        """Give the names of those that have not run to their end, in their order; components are connected for it."""
        raise NotImplementedError


class Pending(Hook):
    """Asks the components that migrations change."""

    name = "migrations.pending"
    order = -1

    def run(self) -> Sequence[str]:
        """Ask them, in an event loop of its own.

        Raises:
            OpaError: a migration is broken, or a component does not answer.
        """
        if not get_plugin_manager().found(MIGRATIONS):
            return ()
        from opa.plugins.migrations.on_start import pending

        return pending()


if config.MIGRATE_ON_START:

    async def migrate(pm: PluginManager) -> None:
        """Run what has not run, or wait until another process has.

        Raises:
            OpaError: one has failed.
        """
        if pm.found(MIGRATIONS):
            from opa.plugins.migrations import on_start

            await on_start.migrate(pm.mode)

    class MigrateOnStart(Setup):
        """Does it before any other plugin is started."""

        async def run(self, pm: PluginManager) -> None:
            """Do it.

            Raises:
                OpaError: one has failed.
            """
            await migrate(pm)

    @register("before_beat")
    async def migrate_before_beat() -> None:
        """Do it before anything is sent; beat starts no plugin.

        Raises:
            OpaError: one has failed.
        """
        await migrate(get_plugin_manager())
