"""Files for browsers that nobody serves."""

from __future__ import annotations

from collections.abc import Iterator

from opa.checks.deploy.check import Deployment
from opa.checks.finding import Finding
from opa.settings.envs import is_development

FOLDER = "static/"


def static_files_that_nobody_serves(deployment: Deployment) -> Iterator[Finding]:
    """A finding if plugins have static files, and nobody has said whether the api serves them."""
    config, registry = deployment.config, deployment.manager.registry
    if deployment.mode != "api" or config.STATIC != "auto" or is_development():
        return
    folders = [convention for convention in registry.conventions if convention.name == FOLDER]
    plugins = [
        found.plugin.name
        for found in registry.objects
        if not found.plugin.file.is_built_in and any(found.plugin.found(each) is not None for each in folders)
    ]
    if plugins:
        yield Finding(
            f"the files in static/ of {', '.join(plugins)} are not served: STATIC is auto, which serves them in "
            "development alone",
            where=config.source("STATIC"),
            hint="Set STATIC to true; or to false, where a proxy has the files",
        )
