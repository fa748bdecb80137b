"""The result of a task, for asynchronous callers."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from celery import states
from celery.backends.base import DisabledBackend
from celery.result import EagerResult

from opa._util.pauses import growing
from opa.core.threads import in_pool
from opa.errors import TaskResultError

if TYPE_CHECKING:
    from celery.result import AsyncResult

R = TypeVar("R")

MIN_POLL_INTERVAL = 0.02
MAX_POLL_INTERVAL = 0.5


class TaskResult(Generic[R]):
    """A task that was sent.

    Attributes:
        id: by which anyone may ask for it: `celery.AsyncResult(id)`.
        celery: the `AsyncResult` of Celery, whose methods hold the event loop.
    """

    def __init__(self, celery: AsyncResult[Any]) -> None:
        self.id: str = celery.id
        self.celery = celery

    async def get(self, *, timeout: float) -> R:  # noqa: ASYNC109 - it has its own error
        """Wait for what the task returns; at once None where it keeps no result (`ignore_result`).

        Args:
            timeout: seconds.

        Raises:
            TimeoutError: it is not done by then; the task goes on.
            TaskResultError: the component has no BACKEND_URL, so that results are not kept.
            Exception: what the task raised.
        """
        try:
            async with asyncio.timeout(timeout) as limit:
                return await self._get()
        except TimeoutError:
            if limit.expired():
                raise TimeoutError(f"task {self.id} has no result after {timeout:g} s") from None
            raise

    async def _get(self) -> R:
        if self.celery.ignored and not isinstance(self.celery, EagerResult):
            nothing: R = None  # type: ignore[assignment]  # as Celery's
            return nothing
        pauses = growing(MIN_POLL_INTERVAL, MAX_POLL_INTERVAL)
        while True:
            meta = await self._meta()
            if meta["status"] in states.PROPAGATE_STATES:
                raise meta["result"]
            if meta["status"] in states.READY_STATES:
                result: R = meta["result"]
                return result
            await asyncio.sleep(next(pauses))

    async def state(self) -> str:
        """Celery's name of its state: `PENDING`, `STARTED`, `SUCCESS`, `FAILURE`, `RETRY` or one of the task's own.

        Celery says `PENDING` of any id that it has no result of. Where runs are recorded (setting `RUNS`), that is a
        task that waits; one that runs is `STARTED`, and one that nobody knows `UNKNOWN`.
        """
        status: str = (await self._meta())["status"]
        if status != states.PENDING:
            return status
        observers: Any = getattr(self.celery.app, "observers", None)
        return status if observers is None else await observers.state(self.id) or status

    async def _meta(self) -> dict[str, Any]:
        if isinstance(self.celery, EagerResult):  # task_always_eager
            return {"status": self.celery.state, "result": self.celery.result}
        backend = self.celery.backend
        if isinstance(backend, DisabledBackend):
            raise TaskResultError(
                "results of tasks are not kept",
                where="setting OPTIONAL_COMPONENTS.CELERY.OPTS",
                hint="Set BACKEND_URL there",
            )
        meta: dict[str, Any] = await in_pool("celery-results", partial(backend.get_task_meta, self.id))
        return meta
