"""The text of a new migration."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from opa import OpaError, PluginManager
from opa.plugins.migrations.autogenerate import (
    HEAD,
    OTHER,
    created_in,
    difference,
    modules_of_plugins,
    tables_of,
    text_of_message,
)
from opa.plugins.migrations.files import DEFAULT_COMPONENT, Migration
from opa.plugins.migrations.runner import Migrations


async def written(
    manager: PluginManager,
    migrations: Migrations,
    plugin: str,
    component: str,
    message: str,
    *,
    is_empty: bool,
    pending: Sequence[Migration],
    tell: Callable[[str], None],
) -> str | None:
    """The text of a migration; None where the database is as the models of the plugin say.

    Args:
        manager: has the plugin.
        migrations: all that there are, with their components connected.
        plugin: its name.
        component: the one that is changed, in lower case.
        message: what the migration does.
        is_empty: whether nothing is compared.
        pending: those of the component that have not run.
        tell: is given what to look at in the text.

    Raises:
        OpaError: some have not run, or the plugin has no models.
    """
    on_connection = migrations.sql_of(component)
    docstring = text_of_message(message)
    if on_connection is None:
        return OTHER.format(message=docstring, component=component)
    if is_empty:
        return _with_component(HEAD.format(message=docstring, upgrade="pass", downgrade="pass"), component)
    if pending:
        raise OpaError(
            f"{pending[0]} has not run here: what the tables lack cannot be told from what it does",
            hint="Run opa migrate first",
        )
    of_plugin = [each for each in migrations.all if each.plugin == plugin and each.component == component]
    tables, known = tables_of(manager, plugin), created_in(of_plugin)
    if not tables and not known:
        raise OpaError(
            f"plugin '{plugin}' has no models: no class of a DeclarativeBase, and no Table at the top of a module",
            hint="Import the module with its models in its __init__.py; --empty writes a migration without them",
        )
    found = await on_connection(difference, tables, known)
    if found is None:
        return None
    for column in found.without_value:
        tell(
            f"{column} may not be NULL and has no default, so that the migration fails where the table has rows. Give "
            'it what they shall have in the file, such as server_default="0", or fill it there before it is NOT NULL'
        )
    text = HEAD.format(message=docstring, upgrade=found.upgrade.strip(), downgrade=found.downgrade.strip())
    modules = {module.__name__ for _, module in modules_of_plugins(manager)}
    return _with_component(_with_imports(text, modules), component)


def _with_component(text: str, component: str) -> str:
    if component == DEFAULT_COMPONENT:
        return text
    return text.replace("\n\n\ndef upgrade", f'\n\ncomponent = "{component}"\n\n\ndef upgrade', 1)


def _with_imports(text: str, modules: set[str]) -> str:
    """With what Alembic writes types by: dialects, and modules of plugins that have types of their own."""
    lines = [
        f"from sqlalchemy.dialects import {dialect}"
        for dialect in ("postgresql", "sqlite")
        if re.search(rf"(?<![\w.]){dialect}\.", text)
    ]
    lines += [
        f"import {name}" for name in sorted(modules) if re.search(rf"(?<![\w.]){re.escape(name)}\.[A-Z]\w*\(", text)
    ]
    return text.replace("from alembic import op\n", "\n".join(["from alembic import op", *lines]) + "\n", 1)
