"""What does not stop the start, and is probably not what its author meant: each finding is told in a line.

Each kind of finding has a module. One that needs the settings and the plugins alone is called in `findings_in_plugins`,
one that looks at routes or at the code of the plugins in `findings_in_application`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from opa.logging.logger import log

if TYPE_CHECKING:
    from opa.checks.finding import Finding
    from opa.core.manager import PluginManager
    from opa.http.application import Api


def findings_in_plugins(manager: PluginManager) -> Iterator[Finding]:
    """What can be told of the plugins in any mode, and costs a start next to nothing."""
    from opa.checks.filters import entries_without_plugin, expressions_for_former_plugins, misspelt_tags
    from opa.checks.folders import folders_without_init
    from opa.checks.nothing import nothing_from_plugin_paths
    from opa.checks.options import options_without_plugin, plugins_of_one_name
    from opa.checks.package_lock import stale_lock
    from opa.checks.refused import refused_plugins
    from opa.checks.steps import held_steps, imported_steps
    from opa.checks.task_drivers import unnamed_task_drivers
    from opa.checks.threads import threads_of_imports

    yield from nothing_from_plugin_paths(manager)
    yield from refused_plugins(manager)
    yield from folders_without_init(manager)
    yield from entries_without_plugin(manager)
    yield from misspelt_tags(manager)
    yield from expressions_for_former_plugins(manager)
    yield from options_without_plugin(manager)
    yield from plugins_of_one_name(manager)
    yield from imported_steps(manager)
    yield from held_steps(manager)
    yield from stale_lock(manager)
    yield from unnamed_task_drivers(manager)
    if manager.tasks.are_used:
        yield from _findings_in_tasks(manager)
    yield from threads_of_imports(manager)


def _findings_in_tasks(manager: PluginManager) -> Iterator[Finding]:
    """It imports Celery, which plugins without tasks need not."""
    from opa.checks.copies import copied_handlers, copied_schedules
    from opa.checks.task_options import misspelt_options
    from opa.checks.tasks import components_of_tasks, parameters_of_others, runs_that_fail, settings_of_no_task

    yield from copied_schedules(manager)
    yield from copied_handlers(manager)
    yield from misspelt_options(manager)
    yield from runs_that_fail(manager)
    yield from settings_of_no_task(manager)
    yield from parameters_of_others(manager)
    yield from components_of_tasks(manager)


def findings_in_application(app: Api) -> Iterator[Finding]:
    """What can be told of an application that is built and not started; it looks at each route."""
    from opa.checks.access import nobody_can_sign_in, paths_without_route, webhooks_that_need_an_actor
    from opa.checks.code import Code
    from opa.checks.commands import commands_out_of_reach
    from opa.checks.components import unknown_components_in_routes
    from opa.checks.decorators import decorators_without_parentheses
    from opa.checks.middleware import unused_middleware
    from opa.checks.mounts import mounts_without_dependencies, mounts_without_prefix
    from opa.checks.paths import shadowed_paths
    from opa.checks.routers import unserved_routers
    from opa.checks.second_names import imports_by_second_names, modules_that_are_there_twice
    from opa.checks.taken_parts import routes_that_lose_a_part
    from opa.checks.task_calls import sent_functions
    from opa.checks.unimported import unimported_parts
    from opa.checks.wider import routes_behind_wider_ones

    code = Code(app.manager)
    yield from imports_by_second_names(app.manager)
    yield from modules_that_are_there_twice(app.manager)
    yield from commands_out_of_reach(app.manager)
    yield from unimported_parts(app.manager)
    yield from unserved_routers(app, code)
    yield from decorators_without_parentheses(code)
    yield from shadowed_paths(app)
    yield from routes_behind_wider_ones(app)
    yield from routes_that_lose_a_part(app)
    yield from mounts_without_prefix(app)
    yield from mounts_without_dependencies(app)
    yield from unknown_components_in_routes(app)
    yield from nobody_can_sign_in(app)
    yield from paths_without_route(app)
    yield from webhooks_that_need_an_actor(app)
    yield from unused_middleware(app, code)
    yield from sent_functions(code)


def warn_of_findings(manager: PluginManager, app: Api | None = None) -> None:
    """Log what can be told when a process starts: of the application where `ENV` is dev, and only there."""
    from opa.settings.envs import DEVELOPMENT, current_envs

    for finding in findings_in_plugins(manager):
        log.warning(str(finding))
    if app is None:
        return
    if DEVELOPMENT in current_envs():
        from opa.checks.types import unresolved_types

        for finding in (*findings_in_application(app), *unresolved_types(app)):
            log.warning(str(finding))
    elif app.access_rules is not None or "opa.http.access.requires" in sys.modules:
        from opa.checks.access import nobody_can_sign_in

        for finding in nobody_can_sign_in(app):
            log.warning(str(finding))
