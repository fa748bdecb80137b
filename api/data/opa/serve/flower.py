"""The mode `flower`: a web page on which the workers and their tasks can be watched."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from opa._util.hosts import is_loopback
from opa.errors import StartError
from opa.process.extras import need
from opa.settings.foreign_files import foreign_file
from opa.settings.value_files import SUFFIX, ValueFileError, read_value

if TYPE_CHECKING:
    from opa.settings.load import Config

PASSWORD = "FLOWER_BASIC_AUTH"  # noqa: S105 - the name of a variable
OAUTH = "FLOWER_AUTH"
OPTIONS = Path("flowerconfig.py")
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
"""As a browser of this machine names it."""


def serve(config: Config) -> None:
    """Serve it until SIGTERM or SIGINT, on the address HOST and the port FLOWER_PORT.

    Flower's own options come from its variables (`FLOWER_MAX_TASKS`, `FLOWER_URL_PREFIX`, …). Its password may stand in
    the file that `FLOWER_BASIC_AUTH__FILE` names.

    Raises:
        OpaError: it cannot be started: it is not installed, has no password on an address that others reach, and so on.
        SystemExit: flower ended, with its status.
    """
    need("flower", by="MODE=flower", extra="flower")
    _read_password_file()
    _check_password(config.HOST)
    _check_options()
    from opa.bootstrap import prepare
    from opa.checks.deploy.start import refuse_open_applications
    from opa.process.health_target import note_web_target
    from opa.serve.worker import run_celery
    from opa.tasks.required import task_application

    manager = prepare(config, mode="flower")
    celery = task_application(manager, "MODE=flower")
    refuse_open_applications(manager)
    # Kubernetes sets FLOWER_PORT to a URL, where a service is called flower.
    os.environ.pop("FLOWER_PORT", None)
    if not os.environ.get(PASSWORD):
        # Flower would take the empty text for a password, which cannot be entered.
        os.environ.pop(PASSWORD, None)
    _ask_for_the_password_everywhere()
    if not os.environ.get(PASSWORD) and not os.environ.get(OAUTH):
        _refuse_web_pages({*LOOPBACK, config.HOST, *config.TRUSTED_HOSTS})
    _take_events_as_they_should_be()
    prefix = os.environ.get("FLOWER_URL_PREFIX", "").strip("/")
    health = "" if os.environ.get("FLOWER_CERTFILE") else f"/{prefix}/healthcheck".replace("//", "/")
    note_web_target("flower", config.HOST, config.FLOWER_PORT, health)
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # as `opa start` leaves it
        signal.signal(signal.SIGINT, signal.default_int_handler)  # which flower expects
    try:
        # Its log is ours: without `none` it would set up one of its own.
        run_celery(
            celery,
            ["flower", f"--address={config.HOST}", f"--port={config.FLOWER_PORT}", "--logging=none"],
        )
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES):
            raise
        raise StartError(
            f"flower cannot listen on {config.HOST} port {config.FLOWER_PORT}: {error.strerror}",
            where="settings HOST and FLOWER_PORT",
            hint="Set FLOWER_PORT to a port that is free, or HOST to an address of this machine",
        ) from None


def serve_alone(config: Config) -> None:
    """The same: it is one process always, and nothing of it is reloaded."""
    serve(config)


def _read_password_file() -> None:
    """Put the password where flower reads it, as if it had been set."""
    variable = f"{PASSWORD}{SUFFIX}"
    file = os.environ.get(variable)
    if file is None:
        return
    where = f"environment variable {variable}"
    if os.environ.get(PASSWORD):
        problem = (
            f"the password of flower is set twice, by the environment variables {PASSWORD} and {variable} ({file})"
        )
        raise StartError(problem, where=where, hint="Unset one of them")
    try:
        os.environ[PASSWORD] = read_value(file)
    except ValueFileError as error:
        raise StartError(f"{PASSWORD}: {error}", where=where) from error


def _check_password(host: str) -> None:
    password = os.environ.get(PASSWORD, "")
    pairs = password.split(",")
    if password and not all(user and secret for user, _, secret in (pair.partition(":") for pair in pairs)):
        raise StartError(
            f"{PASSWORD} has no password in it",
            where=f"environment variable {PASSWORD}",
            hint="Write it as user:password; several are separated by commas",
        )
    if not password and not os.environ.get(OAUTH) and not is_loopback(host):
        raise StartError(
            f"flower would be open to everyone who can reach {host}, and its users can stop workers and run tasks",
            where=f"environment variable {PASSWORD}",
            hint="Set it to user:password, or set HOST to 127.0.0.1",
        )


def _check_options() -> None:
    """See that the file that Flower runs where the current folder has one is not another user's."""
    foreign = None if os.environ.get("FLOWER_CONF") or not OPTIONS.exists() else foreign_file(OPTIONS)
    if foreign is not None:
        raise StartError(
            f"root does not take options of flower {foreign.why} only because they are in the current folder",
            where=str(foreign.path),
            hint=f"Name the file to use it, FLOWER_CONF={OPTIONS.absolute()}, or {foreign.remedy}",
        )


def _ask_for_the_password_everywhere() -> None:
    """Flower itself shows its metrics, and in them the names of workers and tasks, to everyone."""
    from flower import urls
    from flower.views.monitor import Metrics
    from tornado.web import authenticated

    class MetricsForUsers(Metrics):  # type: ignore[misc]  # flower has no types
        @authenticated
        async def get(self) -> None:
            await super().get()

    urls.handlers[:] = [_replaced(handler, Metrics, MetricsForUsers) for handler in urls.handlers]


def _replaced(handler: Any, old: type, new: type) -> Any:
    return (handler[0], new) if isinstance(handler, tuple) and handler[1] is old else handler


def _refuse_web_pages(trusted: set[str]) -> None:
    """Where there is no password: a page of the web in a browser of this machine reaches a loopback address as well.

    It may have let its own name lead here, by which it could read all pages, and send forms from its own origin.
    """
    from flower.api import BaseApiHandler
    from flower.views import BaseHandler
    from tornado.web import HTTPError

    from opa.http.host_check import HostCheck

    hosts = HostCheck(trusted, lambda scope: False)

    def check(handler: Any) -> None:
        request = handler.request
        given = [(b"host", host.encode("latin-1")) for host in request.headers.get_list("Host")]
        if hosts.problem({"headers": given, "http_version": "1.1"}):
            raise HTTPError(403, "flower has no password, and is there for this machine and TRUSTED_HOSTS alone")
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            raise HTTPError(403, "flower has no password, and takes nothing from other pages")

    def prepare(handler: Any) -> None:
        check(handler)

    prepare_api = BaseApiHandler.prepare

    def prepare_of_api(handler: Any) -> None:
        check(handler)
        prepare_api(handler)

    BaseHandler.prepare, BaseApiHandler.prepare = prepare, prepare_of_api


def _take_events_as_they_should_be() -> None:
    from flower import app, events

    from opa.serve.flower_events import Events
    from opa.serve.flower_state import BoundedInspector, State

    events.EventReceiver, events.EventsState = Events, State
    app.Inspector = BoundedInspector
