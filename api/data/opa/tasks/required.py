"""The Celery application, for what cannot do without a broker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from opa.core.components import missing_host
from opa.core.drivers import Driver
from opa.core.preparation import prepare_component
from opa.errors import StartError
from opa.tasks.application import application_of

if TYPE_CHECKING:
    from opa.core.manager import PluginManager
    from opa.tasks.application import TaskApplication


def task_application(manager: PluginManager, needed_by: str) -> TaskApplication:
    """The Celery application of the plugins, when some component says where its broker is.

    Args:
        needed_by: what needs it, for the error.

    Raises:
        StartError: no component does; the message says why.
    """
    reasons = []
    for state in manager.component_states.values():
        driver = manager.drivers.get(state.driver_name.lower())
        if driver is None or not driver.runs_tasks:
            continue
        if state.driver is None:
            reasons.append(f"component '{state.name}' is not loaded: LOAD is no")
        # Not the driver's own: in a worker it waits for no host, so that its tasks have the component in any case.
        elif state.load == "auto" and (
            reason := asyncio.run(missing_host(Driver.hosts(state.driver), manager.config.COMPONENT_DNS_TIMEOUT))
        ):
            reasons.append(f"component '{state.name}' is not loaded: {reason}, LOAD is auto")
        else:
            prepare_component(manager, state.name)
            return application_of(manager)
    raise StartError(
        f"{needed_by} needs a component with the driver 'celery', and there is none"
        + "".join(f"; {reason}" for reason in reasons),
        where="setting OPTIONAL_COMPONENTS.CELERY",
        hint="Start the broker (`opa up` in this folder does), or fix BROKER_URL and BACKEND_URL; "
        "LOAD 'yes' waits for them",
    )
