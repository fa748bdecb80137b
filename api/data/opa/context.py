"""What the code that runs belongs to: an application, a request or a task, and who has sent that.

All of it is in one `ContextVar`. To set one costs a small request half a percent of its time, and to set it back as
much again, so that one for each fact would be several percent.

Nothing is known here of what it is: the module that is named beside each has the functions by which others reach it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any


class Context:
    """Of one request, websocket, task or start; each has its own.

    Attributes:
        manager: the plugins of the application; `core/running.py`.
        request_id: of the request, or of the one that has sent the task; `logging/request_id.py`.
        actor: who has sent it, once something has asked; `access/actor.py`.
        address: from where, once something has asked; `access/address.py`.
        scope: of ASGI, as the router has got it, with the endpoint that was found; `core/component_use.py`.
    """

    __slots__ = ("actor", "address", "manager", "request_id", "scope")

    def __init__(self, manager: Any = None) -> None:
        self.manager = manager
        self.request_id: bytes | None = None
        self.actor: Any = None
        self.address: str | None = None
        self.scope: Any = None

    def copy(self) -> Context:
        """Another one like it."""
        copied = Context(self.manager)
        copied.request_id, copied.actor, copied.address = self.request_id, self.actor, self.address
        copied.scope = self.scope
        return copied


NOTHING = Context()
"""That of code which runs for nothing in particular. It never changes; see `context_to_change`."""

current_context: ContextVar[Context] = ContextVar("opa_context", default=NOTHING)


def context_to_change() -> Context:
    """That of the code which runs; a new one where there is none yet."""
    context = current_context.get()
    if context is NOTHING:
        context = Context()
        current_context.set(context)
    return context


@contextmanager
def changed_context() -> Iterator[Context]:
    """What runs in the block, and what it starts, has one of its own, at first like that of the code around it."""
    before = current_context.get()
    context = before.copy()
    current_context.set(context)
    try:
        yield context
    finally:
        # Not by a token: what starts an application may stop it in another context, as `opa shell` does.
        current_context.set(before)
