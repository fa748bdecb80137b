"""Keys inside Celery's settings that an environment variable has set, and that are in upper case: Celery's are not."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from opa.tasks.options import OPTIONS


def with_keys_of_celery(name: str, value: Any) -> Any:
    """The value of a setting of Celery's, with the keys that Celery knows.

    Args:
        name: such as `task_routes`.
    """
    if not isinstance(value, Mapping) or name == "beat_schedule":  # `opa.tasks.schedules` knows the tasks
        return value
    if name == "task_routes":
        return {task: _lowered(options) for task, options in value.items()}
    if name == "task_annotations":
        return {task: _lowered(options, OPTIONS) for task, options in value.items()}
    return _lowered(value)


def _lowered(value: Any, only: Collection[str] | None = None) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {
        key.lower() if isinstance(key, str) and key.isupper() and (only is None or key.lower() in only) else key: (
            _lowered(item) if only is None else item
        )
        for key, item in value.items()
    }
