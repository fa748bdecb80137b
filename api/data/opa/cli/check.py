"""`opa check`: load settings and plugins, build the application and describe it, without serving or a network."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from opa.cli.program import app

if TYPE_CHECKING:
    from opa.checks.deploy.results import Result
    from opa.errors import PluginError
    from opa.http.application import Api


class FailLevel(StrEnum):
    """From which level on a finding about the deployment is a failure."""

    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"
    NEVER = "never"


@app.command()
def check(
    deploy: Annotated[
        bool, typer.Option("--deploy", help="Also report what is unsafe in production; each finding has an id.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --deploy: print the findings as JSON.")] = False,
    fail_level: Annotated[
        FailLevel, typer.Option(help="With --deploy: exit with status 1 if a finding has this level or a worse one.")
    ] = FailLevel.ERROR,
) -> None:
    """Load settings and plugins as at a start, and report what is wrong; exit status 1 if anything is."""
    if as_json and not deploy:
        raise typer.BadParameter("is for --deploy", param_hint="--json")
    from opa.errors import OpaError
    from opa.serve.mode import chosen_mode

    try:
        if deploy:
            chosen_mode(os.environ)  # what is looked at goes by it
        application = _check(as_json=as_json, deploy=deploy)
        results = _results(application) if deploy else None
    except OpaError as error:
        if as_json:
            from opa.checks.deploy.as_json import error_as_json

            print(error_as_json(error))
        raise
    if results is not None:
        _tell_of_deployment(results, as_json=as_json, fail_level=fail_level)


def _check(*, as_json: bool, deploy: bool) -> Api:
    """Do what a start does, and say what is wrong, on standard output only where that is not JSON.

    What keeps a start from happening because it lets strangers in is among the findings of `deploy`.

    Raises:
        OpaError: nothing would start.
    """
    from opa._util.garbage import no_collection
    from opa._util.masking.secrets import mask_text
    from opa._util.printable import in_one_line
    from opa.bootstrap import prepare
    from opa.checks import findings_in_application, findings_in_plugins
    from opa.checks.deploy.check import mode_in
    from opa.checks.deploy.start import refuse_open_doors
    from opa.cli.beside_up import load_beside_up
    from opa.core.overview import overview
    from opa.http.builder import build_app
    from opa.http.openapi.build import build

    config = load_beside_up(quiet=True)
    if not deploy:
        refuse_open_doors(config, os.environ, mode_in(os.environ))
    manager = prepare(config)
    application = build_app(manager)
    with no_collection():
        warnings = [*map(str, findings_in_plugins(manager)), *map(str, findings_in_application(application))]
    for warning in warnings:
        print(f"warning: {in_one_line(mask_text(warning))}", file=sys.stderr)
    _start_without_components(application)
    _look_for_types(application)
    if application.openapi_url:
        build(application)
    if not as_json:
        told = [overview(manager, application.count_plugin_routes())]
        if manager.roster.skipped:
            told.append(f"broken: {', '.join(manager.roster.skipped)}")
        if warnings:
            told.append(f"{len(warnings)} warning{'s' if len(warnings) > 1 else ''}")
        print(in_one_line(f"ok: {'; '.join(told)}"))
    return application


def _results(application: Api) -> list[Result]:
    from opa.checks.deploy.check import Deployment
    from opa.checks.deploy.results import run_checks
    from opa.checks.deploy.table import CHECKS

    return list(run_checks(CHECKS, Deployment(application.manager, os.environ, application)))


def _tell_of_deployment(results: Sequence[Result], *, as_json: bool, fail_level: FailLevel) -> None:
    """Show what was found.

    Raises:
        typer.Exit: some of it is as bad as `fail_level`.
    """
    from opa._util.masking.secrets import mask_text
    from opa._util.printable import in_one_line
    from opa.checks.deploy.as_json import results_as_json
    from opa.checks.deploy.check import Level

    counted = [result for result in results if result.silenced is None]
    if as_json:
        print(results_as_json(results))
    else:
        for result in counted:
            print(in_one_line(mask_text(str(result))), file=sys.stderr)
        silenced = f", {len(results) - len(counted)} silenced" if len(counted) < len(results) else ""
        print(f"deployment: {len(counted)} finding{'' if len(counted) == 1 else 's'}{silenced}")
    if fail_level != FailLevel.NEVER and any(result.counts(Level(fail_level)) for result in results):
        raise typer.Exit(1)


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
