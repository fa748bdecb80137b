"""The pool of `-P prefork`, in whose processes the soft time limit interrupts nothing but the functions of tasks."""

from __future__ import annotations

from typing import Any

from billiard import pool as billiard_pool
from celery.concurrency import asynpool, prefork

from opa.tasks.worker import soft_limit

_AsynPool: Any = asynpool.AsynPool  # the stubs lack their processes
_BlockingPool: Any = billiard_pool.Pool


class _Process(_AsynPool.Worker):  # type: ignore[misc]
    def after_fork(self) -> None:
        super().after_fork()
        soft_limit.listen()


class _BlockingProcess(_BlockingPool.Worker):  # type: ignore[misc]
    def after_fork(self) -> None:
        super().after_fork()
        soft_limit.listen()


class _Pool(_AsynPool):  # type: ignore[misc]
    Worker = _Process


class _PoolOfOtherBrokers(_BlockingPool):  # type: ignore[misc]
    Worker = _BlockingProcess


class ProcessPool(prefork.TaskPool):
    """Celery's pool of processes, with a soft time limit that knows where a task ends."""

    Pool = _Pool
    BlockingPool = _PoolOfOtherBrokers

    def apply_async(self, target: Any, args: Any = None, kwargs: Any = None, **options: Any) -> Any:
        """Run a task in a process.

        Celery begins to count to the hard limit when the soft one is over. A task that is sent with a shorter limit
        than the soft one of the settings has the hard one alone.
        """
        soft, hard = options.get("soft_timeout"), options.get("timeout")
        if soft and hard and soft >= hard:
            options["soft_timeout"] = None
        return super().apply_async(target, args, kwargs, **options)
