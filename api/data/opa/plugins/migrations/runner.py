"""Runs migrations in their order, and says what has become of each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from opa import OpaError, get_plugin_manager
from opa.commands import connected
from opa.plugins.migrations.convention import MIGRATIONS
from opa.plugins.migrations.files import Migration, all_migrations
from opa.plugins.migrations.ledger import Job, Ledger
from opa.plugins.migrations.ledgers import ledger_of
from opa.plugins.migrations.records import DONE, Record

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Known:
    """A migration, and what is recorded of it.

    Attributes:
        migration: it.
        record: of it; None where it has never begun.
    """

    migration: Migration
    record: Record | None

    @property
    def is_done(self) -> bool:
        """Whether it has run to its end."""
        return self.record is not None and self.record.state == DONE


class Migrations:
    """Those of all loaded plugins, with their components connected.

    Args:
        migrations: in their order.
        ledgers: by component.
    """

    def __init__(self, migrations: Sequence[Migration], ledgers: dict[str, Ledger]) -> None:
        self.all = migrations
        self._ledgers = ledgers
        self._gone: dict[tuple[str, int], str] | None = None

    async def known(self) -> list[Known]:
        """All of them, in their order, and what is recorded of each."""
        records = {component: await ledger.records() for component, ledger in self._ledgers.items()}
        return [Known(each, records[each.component].get((each.plugin, each.name))) for each in self.all]

    async def forgotten(self) -> list[tuple[str, str, str, Record]]:
        """Those that have begun to run, and whose files are not there: component, plugin, name, and their records."""
        there = {(each.component, each.plugin, each.name) for each in self.all}
        found = [
            (component, *key, record)
            for component, ledger in self._ledgers.items()
            for key, record in (await ledger.records()).items()
            if (component, *key) not in there
        ]
        return sorted(found, key=lambda each: each[:3])

    async def pending(self, last: Migration | None = None) -> list[Migration]:
        """What is to be run, in its order.

        Args:
            last: up to and including this one; all by default.
        """
        found = [known.migration for known in await self.known() if not known.is_done]
        return found if last is None else [each for each in found if self.all.index(each) <= self.all.index(last)]

    async def run(self, jobs: Iterable[Job], tell: Tell) -> list[Migration]:
        """Run them one after another.

        Returns:
            Those that this process has run: another one may have been faster.

        Raises:
            OpaError: one has failed, or seems to have another name by now, and none behind it was run.
        """
        done = []
        for job in jobs:
            migration = job.migration
            if job.direction == "upgrade" and not job.is_mark:
                await self._refuse_renamed(migration)
            seconds = await self._ledgers[migration.component].run(job)
            if seconds is None:
                tell(f"{migration} ({migration.component}): another process has done it")
                continue
            done.append(migration)
            what = "noted as done" if job.is_mark else "done" if job.direction == "upgrade" else "taken back"
            tell(f"{migration} ({migration.component}): {what}" + ("" if job.is_mark else f", {seconds:.2f} s"))
        return done

    async def _refuse_renamed(self, migration: Migration) -> None:
        """See that it has not run under another name.

        Raises:
            OpaError: one with its number has, whose file is gone.
        """
        if self._gone is None:
            self._gone = {
                (plugin, int(number)): name
                for _, plugin, name, record in await self.forgotten()
                if (number := name.partition("_")[0]).isdecimal() and record.state == DONE
            }
        if (name := self._gone.get((migration.plugin, migration.number))) is not None:
            raise OpaError(
                f"the migration {migration} has the number of {migration.plugin}/{name}, which has run, and whose file"
                " is gone",
                where=str(migration.file),
                hint="If it is the same, give the file its old name, or note the new one as done: opa migrate --mark"
                f" --to {migration}. If it is another, give it another number",
            )

    def sql_of(self, component: str) -> Callable[..., Any] | None:
        """What calls a function with a connection to a SQL database; None where the component is none."""
        return getattr(self._ledgers[component], "on_connection", None)

    def named(self, text: str) -> Migration:
        """The one of a name such as `shop/0002`: plugin, and a number or the beginning of a file name.

        Raises:
            OpaError: there is none, or more than one.
        """
        plugin, slash, name = text.partition("/")
        of_plugin = [each for each in self.all if each.plugin == plugin]
        found = [
            each
            for each in of_plugin
            if each.name == name or (name.isdecimal() and each.number == int(name)) or each.name.startswith(f"{name}_")
        ]
        if len(found) == 1:
            return found[0]
        there = ", ".join(str(each) for each in of_plugin) or ", ".join(sorted({each.plugin for each in self.all}))
        raise OpaError(
            f"there is no migration '{text}'" if slash else f"'{text}' is not a migration: it is written plugin/number",
            hint=f"There are: {there or 'none'}",
        )

    def of_plugin(self, plugin: str) -> list[Migration]:
        """Those of a plugin, in their order.

        Raises:
            OpaError: it has none.
        """
        found = [each for each in self.all if each.plugin == plugin]
        if not found:
            names = ", ".join(dict.fromkeys(each.plugin for each in self.all))
            raise OpaError(f"no plugin '{plugin}' has migrations", hint=f"Those that have some: {names or 'none'}")
        return found


def found_migrations() -> list[Migration]:
    """Those of all loaded plugins, in their order; nothing is connected.

    Raises:
        OpaError: a file is not a migration, or is broken.
    """
    manager = get_plugin_manager()
    return all_migrations(manager, manager.found(MIGRATIONS))


@asynccontextmanager
async def connected_migrations(also: Iterable[str] = ()) -> AsyncIterator[Migrations]:
    """The migrations of all loaded plugins; in the block their components are connected, those of `also` too.

    Raises:
        OpaError: a migration is broken, or its component is not there or does not connect.
    """
    manager, migrations = get_plugin_manager(), found_migrations()
    project = manager.config.PROJECT_ID or manager.config.PROJECT_NAME
    async with AsyncExitStack() as stack:
        ledgers = {}
        for component in dict.fromkeys([*(each.component for each in migrations), *also]):
            try:
                await stack.enter_async_context(connected(component))
            except OpaError as error:
                first = next((each for each in migrations if each.component == component), None)
                who = "opa migrate make" if first is None else f"the migration {first}"
                raise OpaError(
                    f"{who} needs the component '{component}': {error.problem}",
                    where=None if first is None else str(first.file),
                    hint=error.hint or _how_to_reach(component, manager.component_states.get(component)),
                ) from error
            ledgers[component] = ledger_of(component, manager.get_component(component), project)
        yield Migrations(migrations, ledgers)


def _how_to_reach(component: str, state: Any) -> str:
    if state is None or state.load != "auto":
        return f"Configure it in OPTIONAL_COMPONENTS.{component.upper()}, or name another component"
    name = f"OPA_OPTIONAL_COMPONENTS__{component.upper()}__OPTS__URL"
    return f"Start opa up in this folder, beside which commands find its servers, or give the address of one in {name}"
