"""Several worker processes under gunicorn, for production."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from typing import TYPE_CHECKING, Any, NoReturn

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer

from opa._compat.uvicorn_worker import UvicornWorker
from opa.core.preparation import prepare_found, unset_hosts
from opa.core.start_waits import STOP_LIMIT, words_for_end
from opa.current import current
from opa.errors import OpaError, StartError
from opa.http.openapi import early as openapi_early
from opa.logging.gunicorn import LogLogger
from opa.logging.logger import log
from opa.process.listen import BACKLOG, address_of, listening_socket, refuse_connections
from opa.process.lookups import look_up
from opa.process.shared_flag import SharedFlag, SharedText
from opa.process.shared_memory import shared_memory
from opa.process.start_failures import StartFailures
from opa.serve.application import load_app
from opa.serve.server import Server, ServerConfig, StartFailedError, stop_limit

if TYPE_CHECKING:
    from opa.http.application import Api
    from opa.serve.operating import OperatingServer
    from opa.settings.load import Config

# A worker whose event loop has not turned for so many seconds is stuck, and replaced.
WORKER_TIMEOUT = 60
HEARTBEAT = 5
LOOK_UP_LIMIT = 0.5
"""Seconds to wait, when the application is built, for which hosts there are."""
KILL_LIMIT = 1.0
"""Seconds to wait for the end of a process that was killed; what the kernel itself waits for may hold it."""
STOP_SIGNALS = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT)


def serve(config: Config, *, workers: int) -> None:
    """Serve with `workers` processes until SIGTERM or SIGINT.

    With `PRELOAD` the application is built here, before the fork, and its OpenAPI document beside the workers; else
    each worker builds both. Components connect in each worker.

    Raises:
        OpaError: it cannot be started, a worker's component does not connect among the reasons.
        SystemExit: it ended with another status than 0.
    """
    lookups = look_up(unset_hosts(config), config.COMPONENT_DNS_TIMEOUT) if config.PRELOAD else None
    app = load_app(config) if config.PRELOAD else None
    if app is not None:
        # What workers share has to be imported before the fork; whether a component is there, each finds out itself.
        prepare_found(app.manager, None if lookups is None else lookups.found(LOOK_UP_LIMIT))
        ServerConfig(config).get_loop_factory()  # imports uvloop
        if config.OPENAPI_EARLY:
            app.document.early = openapi_early.begin(app, app.manager)
    listener = listening_socket(config.HOST, config.PORT)
    operating = None
    if config.OPERATING_PORT is not None:
        from opa.serve.operating import operating_socket

        operating = operating_socket(config)
    Application(config, app, listener, workers, operating).run()


class Application(BaseApplication):  # type: ignore[misc]
    """What gunicorn runs, and how.

    Args:
        config: the settings.
        app: the application; None where each worker is to load its own.
        listener: the socket that all workers accept from.
        workers: how many.
        operating: the same for the operating routes, where they have a port of their own. gunicorn knows nothing of it,
            and so closes it with its own end, after the workers'.
    """

    def __init__(
        self,
        config: Config,
        app: Api | None,
        listener: socket.socket,
        workers: int,
        operating: socket.socket | None = None,
    ) -> None:
        self.config = config
        self.app = app
        self.operating = operating
        self.failures = StartFailures()
        self.has_served = SharedFlag()
        self._address = address_of(listener)
        # gunicorn makes its own socket object of the descriptor.
        self._descriptor = listener.detach()
        self._workers = workers
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's options from the settings."""
        options = {
            "bind": f"fd://{self._descriptor}",
            "backlog": BACKLOG,
            "workers": self._workers,
            "worker_class": ApiWorker,
            "logger_class": LogLogger,
            "preload_app": self.app is not None,
            "proc_name": "opa",
            "timeout": WORKER_TIMEOUT,
            "graceful_timeout": round(stop_limit(self.config)),
            "control_socket_disable": True,
            "worker_tmp_dir": shared_memory(),
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Api:
        """The application that was built before the fork, or else one of this worker."""
        # Without PRELOAD a worker that a SIGHUP starts has the settings of now, as it has the plugins.
        return load_app() if self.app is None else self.app

    def run(self) -> None:
        """Run until it is told to stop.

        Raises:
            StartError: a worker's application did not start.
            SystemExit: the status to end with, 0 after a signal.
        """
        master = os.getpid()
        log.info(f"serving on {self._address} with {self._workers} worker{'s' if self._workers > 1 else ''}")
        try:
            OrderlyArbiter(self).run()
        except SystemExit as ended:
            # A worker leaves through here too: it is a fork of this very call.
            failure = self.failures.first() if os.getpid() == master else None
            if ended.code == Arbiter.WORKER_BOOT_ERROR and failure is not None:
                raise StartFailedError(failure) from None
            raise


class OrderlyArbiter(Arbiter):  # type: ignore[misc]
    """gunicorn's master, which also stops in order where more than one worker fails to start."""

    _stopping = False
    _stops_since = 0.0

    def init_signals(self) -> None:
        """Take over the signals, and hear of the children that have ended before."""
        super().init_signals()
        # The process that builds the OpenAPI document may have ended before there was a handler for that.
        self.reap_workers()

    def spawn_worker(self) -> int:
        """Fork a worker; signals to stop wait until it has handlers of its own."""
        # A worker begins with the master's handlers, which only note a signal. One that came before the worker has its
        # own would be lost, and the worker stay until it is killed.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            pid: int = super().spawn_worker()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        return pid

    def stop(self, graceful: bool = True) -> None:
        """Refuse new connections, and stop the workers."""
        self._stopping = True
        self._stops_since = time.monotonic()
        for listener in self.LISTENERS:
            refuse_connections(listener.sock)
        super().stop(graceful)

    def reap_workers(self) -> None:
        """Note which workers have ended, and stop all where one could not start; called often while it stops."""
        if self._stopping and time.monotonic() - self._stops_since > STOP_LIMIT:
            self._end_those_that_start()
        try:
            super().reap_workers()
        except HaltServer:
            # Raised once more while the others are being stopped, it would leave them behind.
            if not self._stopping:
                raise

    def kill_workers(self, sig: int) -> None:
        """Signal all workers; gunicorn ends so those that have had their time, which is short after a second SIGINT."""
        if sig == signal.SIGKILL:
            self._end_those_that_start()
        super().kill_workers(sig)

    def _end_those_that_start(self) -> None:
        """End the workers that are still in a step of their start: it blocks, and cannot be cancelled."""
        for pid, worker in list(self.WORKERS.items()):
            if step := worker.step.get():
                worker.step.set("")
                self.log.error("worker %s: %s", pid, words_for_end(step))
                self._kill(pid)

    def _kill(self, pid: int) -> None:
        """End a worker, and note that, since gunicorn would take it for one that has had no memory."""
        self.kill_worker(pid, signal.SIGKILL)
        deadline = time.monotonic() + KILL_LIMIT
        while pid in self.WORKERS and time.monotonic() < deadline:
            if os.waitpid(pid, os.WNOHANG)[0]:
                worker = self.WORKERS.pop(pid)
                worker.tmp.close()
                self.cfg.child_exit(self, worker)
            else:
                time.sleep(0.01)


class ApiWorker(UvicornWorker):
    """A process that serves the application with uvicorn."""

    app: Application

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.config = ServerConfig(self.app.config)
        self.step = SharedText()

    def init_signals(self) -> None:
        """Take over the signals, also those that have waited since the fork."""
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)

    def load_wsgi(self) -> None:
        """Load the application; why it does not load is reported once, by the master."""
        try:
            super().load_wsgi()
        except OpaError as error:
            self._fail(error)

    async def serve(self) -> None:
        """Serve until the master says that it is enough."""
        self.config.app = self.wsgi
        current.step_listener = self.step.set
        server = Server(
            self.config,
            alone=False,
            operating=self._operating_server(),
            when_serving=self._note_serving,
            others_serve=self.app.has_served.is_set,
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGQUIT, server.handle_exit, signal.SIGQUIT, None)
        beat = asyncio.create_task(self._beat(server))
        try:
            await server.serve(sockets=[listener.sock for listener in self.sockets])
        except StartError as error:
            self._fail(error)
        finally:
            beat.cancel()

    def _note_serving(self) -> None:
        self.app.has_served.set()
        current.step_listener = None
        self.step.set("")

    def _operating_server(self) -> OperatingServer | None:
        if self.app.operating is None:
            return None
        from opa.serve.operating import OperatingServer

        return OperatingServer(self.app.config, self.wsgi.operating_routes, self.app.operating)

    def _fail(self, error: OpaError) -> NoReturn:
        """End, and let the master say why: once, however many workers it is true for."""
        self.app.failures.note(str(error))
        raise SystemExit(Arbiter.WORKER_BOOT_ERROR) from None

    async def _beat(self, server: Server) -> None:
        """Show the master that the event loop turns, also while components connect and while requests end.

        uvicorn's own notification starts only when it serves.
        """
        while True:
            self.notify()
            if os.getppid() != self.ppid:
                self.log.error("the master process is gone, worker %s stops", self.pid)
                server.handle_exit(signal.SIGTERM, None)
                return
            await asyncio.sleep(HEARTBEAT)
