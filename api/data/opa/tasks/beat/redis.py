"""The redis of the schedule: that of the results."""

from __future__ import annotations

from typing import Any

from celery.backends.redis import RedisBackend

from opa.errors import StartError


def redis_client(app: Any, needed_by: str = "MODE=beat") -> Any:
    """The redis that holds the results, which the beats share.

    Args:
        needed_by: what needs it, for the error.

    Raises:
        StartError: the results are not in redis, or nowhere.
    """
    if isinstance(app.backend, RedisBackend):
        return app.backend.client
    raise StartError(
        f"{needed_by} needs a redis, for the lock, the pauses and the times of the last runs, and BACKEND_URL of the "
        "component with the driver 'celery' names none",
        where="setting OPTIONAL_COMPONENTS.CELERY.OPTS.BACKEND_URL",
        hint="Set it to the URL of a redis, such as redis://redis/1",
    )


def key_prefix(app: Any) -> str:
    """What stands before each key: as for results, several applications can share one redis."""
    return str(app.conf.result_backend_transport_options.get("global_keyprefix", ""))
