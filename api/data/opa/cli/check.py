"""`opa check`: load settings and plugins, build the application and describe it, without serving or a network."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from opa.cli.program import app

if TYPE_CHECKING:
    from opa.errors import PluginError
    from opa.http.application import Api


@app.command()
def check() -> None:
    """Load settings and plugins as at a start, and report what is wrong; exit status 1 if anything is."""
    from opa._util.garbage import no_collection
    from opa._util.masking.secrets import mask_text
    from opa._util.printable import in_one_line
    from opa.bootstrap import prepare
    from opa.checks import findings_in_application, findings_in_plugins
    from opa.cli.beside_up import load_beside_up
    from opa.http.builder import build_app
    from opa.http.openapi.build import build

    manager = prepare(load_beside_up(quiet=True))
    application = build_app(manager)
    with no_collection():
        warnings = [*map(str, findings_in_plugins(manager)), *map(str, findings_in_application(application))]
    for warning in warnings:
        print(f"warning: {in_one_line(mask_text(warning))}", file=sys.stderr)
    _start_without_components(application)
    _look_for_types(application)
    if application.openapi_url:
        build(application)
    loaded = len(manager.registry.objects)
    skipped = len(manager.decisions) + len(manager.refused) - loaded
    told = f", {len(warnings)} warning{'s' if len(warnings) > 1 else ''}" if warnings else ""
    print(f"ok: {loaded} plugins loaded, {skipped} skipped{told}")


def _look_for_types(application: Api) -> None:
    """Say in one line what would be many where the document is built.

    Raises:
        RegistrationError: the type of a route is not there when the program runs.
    """
    from opa.checks.types import unresolved_types
    from opa.errors import RegistrationError

    found = list(unresolved_types(application))
    if found:
        more = f" (and {len(found) - 1} more like it)" if len(found) > 1 else ""
        first = found[0]
        raise RegistrationError(first.problem + more, plugin=first.plugin, where=first.where, hint=first.hint)


def _start_without_components(application: Api) -> None:
    """Find what would fail when the process starts, without the components that it starts with.

    Raises:
        PluginError: a setup, a step or a task of a plugin that may not be skipped.
    """
    from opa.checks.components import mistakes_at_start

    manager = application.manager
    errors: list[PluginError] = [*mistakes_at_start(manager)]
    if manager.tasks.are_used:
        from opa.checks.tasks import tasks_that_cannot_be_made

        errors += tasks_that_cannot_be_made(manager)
    for error in errors:
        if error.plugin is None:
            raise error
        if error.plugin in manager.roster:
            for gone in manager.skip(error.plugin, error):
                application.remove_contributions_of(gone.plugin.name)
