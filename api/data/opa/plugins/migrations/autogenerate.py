"""Writes migrations: from the models of a plugin and what the database has, by Alembic; or empty ones."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opa import OpaError, PluginManager
from opa.plugins.migrations.files import Migration

_WORDS = re.compile(r"[^a-z0-9]+")
LONGEST_NAME = 60
OF_NO_PLUGIN = frozenset({"opa_migrations", "opa_outbox"})
"""Tables that are no plugin's, also where one of its migrations creates them."""
HEAD = '''"""{message}."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    {upgrade}


def downgrade() -> None:
    {downgrade}
'''
OTHER = '''"""{message}."""

from __future__ import annotations

from typing import Any

component = "{component}"


async def upgrade(instance: Any) -> None:
    raise NotImplementedError("what this migration does")
'''


def folder_of(manager: PluginManager, plugin: str) -> Path:
    """The folder `migrations/` of a plugin, which may not be there yet.

    Raises:
        OpaError: no such plugin is loaded, or it cannot have one.
    """
    for found in manager.registry.objects:
        if found.plugin.name != plugin:
            continue
        file = found.plugin.file
        if not file.is_package:
            raise OpaError(
                f"plugin '{plugin}' is a single file, and migrations are in a folder of a package",
                where=str(file.file),
                hint=f"Make it {plugin}/__init__.py: its migrations are then in {plugin}/migrations/",
            )
        if not file.file.parent.is_dir():
            raise OpaError(f"plugin '{plugin}' is in an archive, into which nothing is written", where=str(file.file))
        return file.file.parent / "migrations"
    names = ", ".join(each.plugin.name for each in manager.registry.objects if not each.plugin.file.is_built_in)
    raise OpaError(f"no plugin '{plugin}' is loaded", hint=f"Those that are: {names or 'none'}")


def next_file(folder: Path, there: Iterable[Migration], message: str) -> Path:
    """Where the next migration of a plugin goes.

    Raises:
        OpaError: no file can be named by the message.
    """
    words = _WORDS.sub("_", message.lower()).strip("_")[:LONGEST_NAME].strip("_")
    if not words:
        raise OpaError(f"the message {message!r} has neither letters nor digits, by which the file is named")
    number = max((each.number for each in there), default=0) + 1
    return folder / f"{number:04}_{words}.py"


def text_of_message(message: str) -> str:
    """The message as it stands in a docstring."""
    line = " ".join(message.split())
    line = "".join(each for each in line if each.isprintable())  # a file of Python has no others, such as NUL
    line = line.replace("\\", "\\\\").replace('"', "'").rstrip(".")
    return line[:1].upper() + line[1:]


def tables_of(manager: PluginManager, plugin: str) -> list[Any]:
    """The tables of the models that a plugin defines, and those that stand at the top of its modules."""
    from sqlalchemy import Table

    owned: dict[int, str] = {}
    tables: list[Any] = []
    for name, module in modules_of_plugins(manager):
        for value in list(vars(module).values()):
            table = getattr(value, "__table__", None) if isinstance(value, type) else value
            if not isinstance(table, Table):
                continue
            if isinstance(value, type) and value.__module__ != module.__name__:
                continue
            if owned.setdefault(id(table), name) == name == plugin and not any(table is each for each in tables):
                tables.append(table)
    return tables


def modules_of_plugins(manager: PluginManager) -> Iterator[tuple[str, Any]]:
    """The modules of plugins that are imported, in load order: what one defines, one behind it may import."""
    imported = dict(sorted(sys.modules.items()))
    for found in manager.registry.objects:
        package = found.plugin.file.module
        for name, module in imported.items():
            if module is not None and (name == package or name.startswith(f"{package}.")):
                yield found.plugin.name, module


def created_in(migrations: Iterable[Migration]) -> set[str]:
    """The names of the tables that migrations create."""
    names = set()
    for migration in migrations:
        for node in ast.walk(ast.parse(migration.source)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("create_table") and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    names.add(first.value)
    return names


@dataclass(frozen=True)
class Difference:
    """What makes of the tables of a database those of the models.

    Attributes:
        upgrade: Python that does it.
        downgrade: Python that takes it back.
        without_value: the columns, as `table.column`, for which rows that are there already have no value.
    """

    upgrade: str
    downgrade: str
    without_value: tuple[str, ...]


def difference(connection: Any, tables: list[Any], known: set[str]) -> Difference | None:
    """What makes of the tables of a database those of the models; None for nothing.

    Args:
        connection: to the database.
        tables: of the models.
        known: the names of the tables that the plugin has ever had; no other is looked at.
    """
    from alembic.autogenerate import produce_migrations, render_python_code
    from alembic.migration import MigrationContext

    names = (known | {table.name for table in tables}) - OF_NO_PLUGIN

    def is_looked_at(item: Any, name: str | None, kind: str, _reflected: bool, _to: Any) -> bool:
        table = item if kind == "table" else getattr(item, "table", None)
        return (name if table is None else table.name) in names

    context = MigrationContext.configure(
        connection, opts={"include_object": is_looked_at, "compare_type": True, "target_metadata": None}
    )
    script = produce_migrations(context, _metadata_of(tables))
    upgrade, downgrade = script.upgrade_ops, script.downgrade_ops
    if upgrade is None or downgrade is None or upgrade.is_empty():
        return None
    # SQLite changes a table by making it anew, which Alembic does in a batch; others do it as always.
    up, down = (
        render_python_code(each, render_as_batch=True, migration_context=context) for each in (upgrade, downgrade)
    )
    return Difference(up, down, tuple(_without_value(upgrade)))


def _without_value(upgrade: Any) -> Iterator[str]:
    """New columns of tables that there are, which may not be NULL, and for which a database makes no value."""
    from alembic.operations.ops import AddColumnOp, ModifyTableOps

    for changed in upgrade.ops:
        for each in changed.ops if isinstance(changed, ModifyTableOps) else ():
            if isinstance(each, AddColumnOp):
                column = each.column
                if not (column.nullable or column.server_default or column.computed or column.identity):
                    yield f"{each.table_name}.{column.name}"


def _metadata_of(tables: list[Any]) -> Any:
    """One that has all of them, and what they refer to."""
    from sqlalchemy import MetaData

    metadata = list({id(table.metadata): table.metadata for table in tables}.values())
    return metadata[0] if len(metadata) == 1 else metadata or MetaData()
