"""What became of a task, whichever plugin has sent it."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from celery import Celery, states
from fastapi import HTTPException, status

from opa import Component, get_router

router = get_router(prefix="/tasks", tags=["tasks"])

Tasks = Annotated[Celery, Component("celery")]


@router.get("/{task_id}")
def state(task_id: UUID, celery: Tasks) -> dict[str, Any]:
    """The state of a task, and what there is to say about it: its progress, its result, or why it has failed."""
    # Read once: asked for the state and then for the rest, it might have gone on in between.
    found = celery.backend.get_task_meta(str(task_id))
    return {"state": found["status"], "info": _readable(found["result"])}


@router.get("/{task_id}/result", responses={409: {"description": "The task is not done, or has failed"}})
def result(task_id: UUID, celery: Tasks) -> Any:
    """What a task has returned."""
    found = celery.backend.get_task_meta(str(task_id))
    if found["status"] in states.EXCEPTION_STATES:
        raise HTTPException(status.HTTP_409_CONFLICT, f"The task has failed: {_readable(found['result'])}")
    if found["status"] != states.SUCCESS:
        raise HTTPException(status.HTTP_409_CONFLICT, f"The task is not done, it is in state {found['status']}")
    return found["result"]


def _readable(info: Any) -> Any:
    return f"{type(info).__name__}: {info}" if isinstance(info, BaseException) else info
