"""Tasks that a person sends, who is named in their message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kombu.exceptions import SerializationError
from kombu.serialization import loads

from opa import nearest
from opa.plugins.task_runs.failure import RunError

if TYPE_CHECKING:
    from opa import PluginManager


def send_as_person(manager: PluginManager, task: str, body: str, who: str, queue: str) -> str:
    """Send a task, and give its id.

    Args:
        task: its name.
        body: arguments and named arguments, a list of JSON.
        who: sends it.
        queue: where to, if not where it goes by itself.

    Raises:
        RunError: there is no such task here, or the arguments are none.
        kombu.exceptions.OperationalError: the broker does not answer.
    """
    app = manager.celery
    if task not in app.tasks:
        close = nearest(task, app.tasks)
        hint = f"Perhaps it is {close}" if close else "`opa tasks list` shows those that there are"
        raise RunError(f"there is no task '{task}'", hint=hint)
    try:
        args, kwargs, *_ = loads(body, "application/json", "utf-8")
    except (ValueError, TypeError, SerializationError) as error:
        raise RunError(f"the arguments of task '{task}' cannot be read: {error}") from error
    options = {"queue": queue} if queue else {}
    headers = {"actor": who, "actor_kind": "person"}
    try:
        return str(app.tasks[task].apply_async(args, kwargs, headers=headers, **options).id)
    except TypeError as error:  # the function does not take them
        raise RunError(
            f"task '{task}' is not called so: {error}", hint="Give it the arguments of its function"
        ) from error
