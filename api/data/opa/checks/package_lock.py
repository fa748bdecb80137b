"""A lock of packages that was made for other needs than the plugins have now."""

from __future__ import annotations

from collections.abc import Iterator

from opa._util.reading import UnreadableError, read_text
from opa.checks.finding import Finding
from opa.core.manager import PluginManager
from opa.loading.package_lock import is_locked, lock_file, needs_in


def stale_lock(manager: PluginManager) -> Iterator[Finding]:
    """A finding for each plugin that needs a package which `plugins.lock` does not have; none without that file."""
    file = lock_file()
    try:
        known = needs_in(read_text(file))
    except UnreadableError:
        return
    for plugin in manager.roster.plugins:
        if plugin.folder is None:  # an installed one comes with its own
            continue
        if needs := [str(each) for each in plugin.metadata.packages if not is_locked(each, known)]:
            yield Finding(
                f"plugin '{plugin.name}' needs {', '.join(needs)}, which {file.name} does not have",
                where=plugin.where,
                hint="Run opa deps",
                plugin=plugin.name,
            )
