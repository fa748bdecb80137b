"""The folder in which plugins have their migrations."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from opa import Convention, get_plugin_manager

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from starlette.routing import BaseRoute


def _checked(plugin: str, folder: Path | Traversable) -> Iterable[BaseRoute]:
    """No routes: `opa check` finds what is broken, which a start has no use for."""
    manager = get_plugin_manager()
    if not manager.mode:
        from opa.plugins.migrations.files import all_migrations

        all_migrations(manager, {plugin: folder})
    return ()


MIGRATIONS = Convention("migrations/", "what opa migrate runs, in the order of its numbers", routes=_checked)
