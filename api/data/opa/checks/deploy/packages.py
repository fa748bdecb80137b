"""Whether it is known which code of others runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from opa._util.reading import UnreadableError, read_text
from opa.checks.deploy.check import Deployment
from opa.checks.finding import Finding
from opa.loading.own_extras import stands_for
from opa.loading.package_lock import is_locked, lock_file, needs_in

if TYPE_CHECKING:
    from packaging.requirements import Requirement


def unpinned_packages(deployment: Deployment) -> Iterator[Finding]:
    """A finding for each plugin that asks for packages and leaves it to the day which versions, also without a lock."""
    try:
        locked = needs_in(read_text(lock_file()))
    except UnreadableError:
        locked = frozenset()
    for plugin in deployment.manager.roster.plugins:
        packages = [each for each in plugin.metadata.packages if not is_locked(each, locked)]
        if found := [str(each) for each in packages if not all(map(_is_pinned, stands_for(each)))]:
            yield Finding(
                f"plugin '{plugin.name}' asks for {', '.join(found)}: another version may be installed the next time",
                where=plugin.where,
                hint="Make a lock with opa deps, or write the version, NAME==VERSION",
                plugin=plugin.name,
            )


def _is_pinned(package: Requirement) -> bool:
    pins = (each for each in package.specifier if each.operator in ("==", "==="))
    return package.url is not None or any("*" not in each.version for each in pins)
