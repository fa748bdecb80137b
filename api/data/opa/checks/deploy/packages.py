"""Whether it is known which code of others runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from opa.checks.deploy.check import Deployment
from opa.checks.finding import Finding

if TYPE_CHECKING:
    from packaging.requirements import Requirement


def unpinned_packages(deployment: Deployment) -> Iterator[Finding]:
    """A finding for each plugin whose metadata asks for packages, and leaves it to the day which versions they are."""
    for plugin in deployment.manager.roster.plugins:
        if found := [str(each) for each in plugin.metadata.packages if not _is_pinned(each)]:
            yield Finding(
                f"plugin '{plugin.name}' asks for {', '.join(found)}: another version may be installed the next time",
                where=plugin.where,
                hint="Write the version, NAME==VERSION; silence this where a lock file has them",
                plugin=plugin.name,
            )


def _is_pinned(package: Requirement) -> bool:
    pins = (each for each in package.specifier if each.operator in ("==", "==="))
    return package.url is not None or any("*" not in each.version for each in pins)
