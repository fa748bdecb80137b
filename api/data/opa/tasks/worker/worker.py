"""The Celery worker, with components for its tasks, and an end that loses none of them."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading
import warnings
from typing import Any

from celery import bootsteps, signals
from celery.apps.worker import (  # type: ignore[attr-defined]  # celery-types lacks them
    install_cry_handler,
    install_rdb_handler,
    install_worker_restart_handler,
)
from celery.concurrency import get_implementation
from celery.concurrency.prefork import TaskPool as PreforkPool
from celery.concurrency.thread import TaskPool as CeleryThreadPool
from celery.exceptions import SecurityWarning
from celery.platforms import EX_FAILURE, EX_OK
from celery.worker.state import active_requests

from opa._compat.celery import worker as celery_worker
from opa._compat.celery.worker import children_of
from opa.core.manager import get_plugin_manager
from opa.errors import StartError
from opa.logging.logger import log
from opa.process.workers import available_cpus
from opa.tasks.observing.worker import Observing
from opa.tasks.worker.children import Children, reason
from opa.tasks.worker.loop import CLEANUP_LIMIT, start_process_loop, stop_process_loop
from opa.tasks.worker.prefork import ProcessPool
from opa.tasks.worker.records import lead_records
from opa.tasks.worker.state_writer import StateWriter
from opa.tasks.worker.stopping import Stopping
from opa.tasks.worker.thread_limits import ThreadLimits, warn_of_soft_limits
from opa.tasks.worker.threads import ThreadPool

SETUP_LIMIT = 60.0
"""Seconds that the setups of a child may take, once its components have connected; then Celery starts another one."""
LAST_STATES_LIMIT = 2.0
"""Seconds for which a worker that ends waits until the last states are stored, such as that a task was terminated."""
POLL_INTERVAL = 0.5
POOLS = {PreforkPool: ProcessPool, CeleryThreadPool: ThreadPool}
"""What runs tasks where Celery's own is asked for."""


class Worker(celery_worker.Worker):
    """Celery's worker; a pool that does not fork has its components connected in the worker's own process."""

    pool_cls: Any
    pool: Any
    consumer: Any
    concurrency: int
    time_limit: float | None
    soft_time_limit: float | None
    hostname: str
    exitcode: int | None

    def setup_defaults(self, **options: Any) -> None:  # type: ignore[override]  # as Celery calls it
        """Choose the pool and its size; by default one process for each CPU that the container may use.

        Raises:
            StartError: it is asked for a beat in itself.
        """
        if options.get("beat"):
            raise StartError(
                "a worker has no beat in itself (-B, --beat): its signs of life would be taken for those of the worker",
                where="environment variable CELERY_PARAMS",
                hint="Start a process of its own for the schedule, with MODE=beat",
            )
        super().setup_defaults(**options)
        # Each task has the limits of the settings, unless it has its own. Celery gives them to the pool as well, and so
        # a task with a hard limit below the soft one of the settings would never be ended.
        self.time_limit, self.soft_time_limit = options.get("time_limit"), options.get("soft_time_limit")
        self.concurrency = self.concurrency or available_cpus()
        self.pool_cls = POOLS.get(get_implementation(self.pool_cls), self.pool_cls)

    def on_before_init(self, **options: Any) -> None:  # type: ignore[override]  # as Celery calls it
        """Called first; Celery checks by which user it runs, and looks at the tasks."""
        if self.app.limited:
            from opa.tasks.worker.limited_tasks import limit_tasks

            limit_tasks(self.app)
        with warnings.catch_warnings():
            if os.geteuid() != 0:
                # It takes a user without a name for root, and such a one is what an orchestrator gives to a container.
                warnings.simplefilter("ignore", SecurityWarning)
            super().on_before_init(**options)

    def setup_logging(self, colorize: bool | None = None) -> bool:  # type: ignore[override]  # as Celery uses it
        """Leave the log as opa-stack has set it up, and standard output alone; true says that this was done."""
        lead_records()
        return True

    def emit_banner(self) -> None:
        """Say in a line of the log what Celery shows as a picture."""
        queues = ", ".join(self.app.amqp.queues.consume_from)
        pool = self.pool_cls.__module__.rpartition(".")[2]
        log.info(f"worker {self.hostname} with {self.concurrency} ({pool}) takes tasks from {queues}")

    def on_start(self) -> None:
        """Called before the pool starts."""
        config = get_plugin_manager().config
        self.stopping = Stopping(config.GRACEFUL_TIMEOUT)
        self.children = Children()
        self.app.state_writer = StateWriter()
        self._has_stopped = threading.Event()
        if config.DEBUGPY and issubclass(self.pool_cls, ThreadPool):
            # The pool is made by now, and has not begun.
            self.pool.limits = ThreadLimits()
            warn_of_soft_limits(self.app.tasks.values())
        if self.app.observers is not None:
            Observing(self.app.observers).connect()
        super().on_start()
        # A collection would look at all plugins, and in a child copy the memory that it shares with this process.
        gc.freeze()
        if issubclass(self.pool_cls, PreforkPool):
            self.app.conf.worker_proc_alive_timeout = config.COMPONENT_CONNECT_TIMEOUT + SETUP_LIMIT
            signals.worker_process_init.connect(self.children.start, weak=False)
            signals.worker_process_shutdown.connect(self.children.stop, weak=False)
        else:
            self._start_or_exit()
            self.begin()

    def begin(self) -> None:
        """Begin what a worker does besides, in threads of its own; called when the children are forked."""
        if self.app.observers is not None:
            self.app.observers.worker_ready()
        if self.app.limited:
            from opa.tasks.worker.limit_keeper import LimitKeeper

            self.app.limit_keeper = LimitKeeper(self.app, self.hostname)
            self.app.limit_keeper.start()

    def _start_or_exit(self) -> None:
        try:
            has_started = start_process_loop(get_plugin_manager(), lambda: self.stopping.has_begun)
        except Exception as error:
            log.error(reason(error))
            raise SystemExit(EX_FAILURE) from error
        if not has_started:
            raise SystemExit(EX_OK)

    def install_platform_tweaks(self, worker: Any) -> None:
        """Handle signals; Celery's own handlers print to standard output, and know no limit in time."""
        self.stopping.listen()
        if not sys.stdin.isatty():
            install_worker_restart_handler(worker)
        install_cry_handler()
        install_rdb_handler()

    def start(self) -> None:
        """Run until it is told to stop."""
        super().start()
        if isinstance(self.pool, ThreadPool) and self.pool.has_left_threads:
            sys.stdout.flush()
            os._exit(self.exitcode or EX_OK)
        if self.exitcode:
            # Celery's command would lose it: `celery.start()` gives nothing back.
            raise SystemExit(self.exitcode)

    def stop(self, in_sighandler: bool = False, exitcode: int | None = None) -> None:
        """Take no more tasks, and end as soon as those that run are done, or have had their time."""
        self.stopping.begin()
        self.children.tell_to_stop()
        if failure := self.children.failure():
            log.error(failure)
            exitcode = EX_FAILURE
        else:
            log.info(f"worker {self.hostname} stops; {_number(len(active_requests))} of its tasks run")
        if isinstance(self.pool, ThreadPool):
            self.pool.stopping = self.stopping
        else:
            threading.Thread(target=self._give_back, name="give-back", daemon=True).start()
        super().stop(in_sighandler, exitcode)
        self._has_stopped.set()

    def hand_to_pool(self, req: Any) -> None:
        """Have a task run."""
        # Celery keeps the place in the pool of a task that could not be handed to it, and would wait for it forever.
        try:
            super().hand_to_pool(req)
        except Exception:
            self.free_place()
            raise

    def _give_back(self) -> None:
        """End the tasks that have had their time, while the main thread waits for them."""
        while not self.stopping.wait(POLL_INTERVAL):
            if self._has_stopped.is_set():
                return
        if self._has_stopped.wait(POLL_INTERVAL):
            return
        log.warning(f"{_number(len(active_requests))} tasks still run and go back to the queue")
        self.consumer.cancel_active_requests()
        if self._has_stopped.wait(CLEANUP_LIMIT):
            return
        for child in children_of(self.pool):
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)
        if self._has_stopped.wait(CLEANUP_LIMIT):
            return
        log.error("the worker does not end by itself")
        sys.stdout.flush()
        os._exit(self.exitcode or EX_OK)

    def tell_stopped(self) -> None:
        """Called when the pool has stopped."""
        # The pool has stopped by now, so no task uses the components any more.
        super().tell_stopped()
        stop_process_loop()
        if self.app.limit_keeper is not None:
            self.app.limit_keeper.finish()
        self.app.state_writer.finish(LAST_STATES_LIMIT)
        if self.app.observers is not None:
            self.app.observers.stop()


class ChildrenUp(bootsteps.StartStopStep):
    """Takes no task before the children have their components."""

    requires = ("celery.worker.components:Pool",)

    def include_if(self, w: Worker) -> bool:
        """Called when the worker is made."""
        return issubclass(w.pool_cls, PreforkPool)

    def start(self, w: Worker) -> None:
        """Called when the pool has forked them."""
        children = children_of(w.pool)
        w.children.wait_until_up(len(children), lambda: all(child.exitcode is None for child in children))
        w.children.skip_what_they_skipped()
        w.begin()


def _number(count: int) -> str:
    return str(count) if count else "none"


@signals.setup_logging.connect
def _leave_the_log_alone(**_: Any) -> None:
    """Celery sets up no log of its own, in the children either, where this has a receiver."""
