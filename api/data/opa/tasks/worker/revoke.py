"""The command to revoke tasks, which asks the server of results for each: not in the process that has the broker."""

from __future__ import annotations

from functools import partial
from typing import Any

from billiard.common import TERM_SIGNAME
from celery import states
from celery.platforms import signals
from celery.utils.functional import maybe_list
from celery.worker import state

from opa.logging.logger import log

NOT_BEGUN = (states.PENDING, states.RECEIVED, states.RETRY, states.REJECTED)
"""The states over which that a task was revoked is written: it has no result, and no other worker runs it."""


def revoke(worker: Any, task_id: str | list[str], terminate: bool = False, signal: Any = None, **_: Any) -> Any:
    """Run none of the tasks with these ids; Celery's `revoke`, which stores that before it answers.

    Args:
        worker: the state that commands are given.
        task_id: one id or more.
        terminate: also end those that run.
        signal: by which these are ended.
    """
    ids = set(maybe_list(task_id) or [])
    state.revoked.update(ids)
    requests = {each: state.requests.get(each) for each in ids}
    for each, request in requests.items():
        if request is None or request not in state.active_requests:
            backend = request.task.backend if request else worker.app.backend  # a task may have one of its own
            worker.app.state_writer.add(
                f"that task {each} was revoked", partial(_store, backend, each), backend=backend
            )
    if not terminate:
        return {"ok": f"tasks {ids} flagged as revoked"}
    number = signals.signum(signal or TERM_SIGNAME)
    known = {each: request for each, request in requests.items() if request is not None}
    for each, request in known.items():
        log.info(f"task {each} is terminated ({number})")
        request.terminate(worker.consumer.pool, signal=number)
    return {"ok": f"terminate: {', '.join(known) or 'tasks unknown'}"}


def terminate(worker: Any, signal: Any, task_id: str | list[str], **_: Any) -> Any:
    """Run none of the tasks with these ids, and end those that run."""
    return revoke(worker, task_id, terminate=True, signal=signal)


def _store(backend: Any, task_id: str) -> None:
    if backend.get_state(task_id) in NOT_BEGUN:
        backend.mark_as_revoked(task_id, reason="revoked", store_result=True)
