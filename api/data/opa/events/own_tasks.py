"""The tasks of events themselves, which belong to no plugin."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

from opa.core.manager import get_plugin_manager
from opa.tasks.decorator import task

_making = Lock()


def own_task(name: str, function: Callable[..., Any], **options: Any) -> Any:
    """A task of the running application, which is made where it is not there yet.

    Args:
        name: of the task.
        function: what a worker runs.
        options: of the task.
    """
    tasks = get_plugin_manager().celery.tasks
    if name not in tasks:
        with _making:
            if name not in tasks:
                make: Any = task(**{"name": name, "ignore_result": True, **options})
                make(function)
    return tasks[name]
