"""The state of this process: everything that it has one of, and that changes while it runs.

No other module has variables that change; a test holds that. What belongs to an application is in its plugin manager,
and what belongs to a request or a task is a `ContextVar`. A cache, which may be emptied at any time and costs no more
than time then, stays where it is used, under a name that ends in `_cache`. Two objects are there once, each beside its
class: `opa.config`, and the `refusals` of the log.

Nothing is known here of what it is: the module that is named beside each has the functions by which others reach it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakSet


class SoftLimit(threading.local):
    """Of each thread, whether the soft time limit may interrupt a task there."""

    is_in_function = False
    spared: str | None = None
    """The id of the task that is not interrupted any more."""
    when_spared: Callable[[str | None], None] | None = None
    """Called with it, where something else holds the limits of the task."""


class Current:
    """What this process has.

    Attributes:
        manager: of the plugins that run; `core/running.py`.
        managers: all that code in this process may belong to; the same.
        only_hooks: the bound hooks of the manager that runs, by name, while there is one only; the same.
        loading: what plugins can use that are being imported; the same.
        app: what `opa.main:app` is; `main.py`.
        at_fork: what is called around forks; `_util/forks.py`.
        celery: what `opa.main:celery` is; the same.
        task_loop: the event loop for tasks, in a worker; `tasks/worker/loop.py`.
        soft_limit: of the thread that asks; `tasks/worker/soft_limit.py`.
        is_stopping: whether the api takes no more requests; `core/running.py`.
        start_waits: what this process waits for while it starts; `core/start_waits.py`.
        start_listener: told of each change of that, as long as it starts; the same.
        start_step: the step of its start that this process is in, in words; the same.
        step_listener: told of each such step; the same.
        done: what of plugins went well before, as for an earlier application; `loading/repeats.py`.
        rate_limits: how often `RateLimit` was called, by module and line; `http/rate_limits/rate_limit.py`.
        log_sink: the number of loguru's sink that is the log's; `logging/stderr.py`.
        log_level: the number of the level that is written; the same.
        log_is_text: whether lines are for people, and no JSON; the same.
        log_line: for what that sink was made; the same.
        log_stream: what they are written to, where a plugin must not replace it; the same.
        log_fields: give fields for each line of the log; the same.
        hidden_texts: what no text may show, in lower case, the longest first; `_util/masking/hidden.py`.
        traceback_format: gives the text of an exception, where not the plain one is wanted; `logging/tracebacks.py`.
    """

    __slots__ = (
        "app",
        "at_fork",
        "celery",
        "done",
        "hidden_texts",
        "is_stopping",
        "loading",
        "log_fields",
        "log_is_text",
        "log_level",
        "log_line",
        "log_sink",
        "log_stream",
        "manager",
        "managers",
        "only_hooks",
        "rate_limits",
        "soft_limit",
        "start_listener",
        "start_step",
        "start_waits",
        "step_listener",
        "task_loop",
        "traceback_format",
    )

    def __init__(self) -> None:
        self.manager: Any = None
        self.managers: WeakSet[Any] = WeakSet()
        self.only_hooks: Mapping[str, Callable[..., Any]] = {}
        self.loading: Any = None
        self.app: Any = None
        self.at_fork: list[Any] | None = None
        self.celery: Any = None
        self.task_loop: Any = None
        self.soft_limit = SoftLimit()
        self.is_stopping = False
        self.start_waits: dict[object, str] = {}
        self.start_listener: Callable[[str], None] | None = None
        self.start_step = ""
        self.step_listener: Callable[[str], None] | None = None
        self.done: set[str] = set()
        self.rate_limits: dict[str, int] = {}
        self.log_sink: int | None = None
        self.log_level = 0
        self.log_is_text = False
        self.log_stream: Any = None
        self.log_line: tuple[object, ...] = ()
        self.log_fields: tuple[Callable[[], Mapping[str, Any]], ...] = ()
        self.hidden_texts: tuple[str, ...] = ()
        self.traceback_format: Callable[[BaseException, bool, bool], str] | None = None


current = Current()

state: dict[str, Any] = {}
"""Free for plugins. `state["mode"]` says what runs, as `PluginManager.mode` does; `state["runner"]` says it as in the
original: `uvicorn` for the api, `ipython` in `opa shell`."""
