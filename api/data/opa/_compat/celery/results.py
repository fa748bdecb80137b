"""Celery's results in redis."""

from __future__ import annotations

from typing import Any

from celery.backends import redis

_CeleryConsumer: Any = redis.ResultConsumer  # type: ignore[attr-defined]  # celery-types lacks it
_CeleryBackend: Any = redis.RedisBackend  # celery-types lacks most of it
_CelerySentinelBackend: Any = redis.SentinelBackend


class ResultConsumer(_CeleryConsumer):  # type: ignore[misc]
    """What waits for results."""

    @property
    def lost_connection(self) -> tuple[type[Exception], ...]:
        """The errors that say that the connection is lost."""
        errors: tuple[type[Exception], ...] = self._connection_errors
        return errors

    def connect_anew(self) -> None:
        """Subscribe again, on another connection."""
        self._reconnect()


class RedisBackend(_CeleryBackend):  # type: ignore[misc]
    """What stores and reads results."""

    LONGEST_TEXT: int = _CeleryBackend._MAX_STR_VALUE_SIZE
    """Bytes that redis can hold in one value."""

    def _get_pool(self, **params: Any) -> Any:
        return self.new_pool(**params)

    def new_pool(self, **params: Any) -> Any:
        """Called by Celery once, for the pool of connections."""
        return super()._get_pool(**params)

    def _store_result(
        self, task_id: str, result: Any, state: str, traceback: Any = None, request: Any = None, **kwargs: Any
    ) -> Any:
        return self.write_result(task_id, result, state, traceback, request, **kwargs)

    def write_result(
        self, task_id: str, result: Any, state: str, traceback: Any = None, request: Any = None, **kwargs: Any
    ) -> Any:
        """Called by Celery to write a result that is encoded."""
        return super()._store_result(task_id, result, state, traceback, request, **kwargs)

    def result_fields(self, result: Any, state: str, traceback: Any, request: Any) -> dict[str, Any]:
        """What is written of a result, besides the id of its task."""
        fields: dict[str, Any] = self._get_result_meta(result=result, state=state, traceback=traceback, request=request)
        return fields


class SentinelBackend(RedisBackend, _CelerySentinelBackend):  # type: ignore[misc]
    """The same, where Sentinel says which server is the master."""
