"""What the driver `celery` is made of: the side that sends tasks and reads their results."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import kombu
import kombu.exceptions
import kombu.pools
import redis.exceptions
from amqp.exceptions import AccessRefused, NotAllowed
from celery import Celery
from celery.app.defaults import SETTING_KEYS
from celery.backends.redis import RedisBackend
from celery.exceptions import ImproperlyConfigured
from kombu.utils.collections import eqhash

from opa._compat.celery.app import forget_producers
from opa._util.sources import where_is
from opa._util.words import kind_of
from opa.core.breaker import PROBE_TIMEOUT, Breaker
from opa.core.drivers import Driver
from opa.core.manager import PluginManager
from opa.core.running import call_hook
from opa.core.state import state
from opa.errors import RegistrationError, SettingsError
from opa.loading.import_errors import deepest_line_in, summary
from opa.loading.plugin_paths import plugin_paths
from opa.redis_clients import pools as redis_pool
from opa.redis_clients.states import SERVER_STATES
from opa.redis_clients.urls import with_certificate_check
from opa.settings.load import config
from opa.tasks.application import application_of
from opa.tasks.brokers.rabbitmq import BREAKER, MAX_BYTES
from opa.tasks.brokers.redis_results import ANSWER_TIMEOUT, RESULT_BACKENDS
from opa.tasks.codec import Limits
from opa.tasks.lookups import unknown_names, unknown_of_task, with_numbers
from opa.tasks.schedules import parse_entries
from opa.tasks.setting_keys import with_keys_of_celery

SETTING_PREFIX = "CELERY_"

CONNECT_TIMEOUT = 3
"""Seconds. A server that refuses is noticed at once."""

DEFAULTS: dict[str, Any] = {
    "accept_content": ["json"],
    "result_accept_content": ["json"],
    "task_serializer": "json",
    "result_serializer": "json",
    # A request must not wait for long when a server is gone; Celery's own limits add up to minutes.
    "broker_connection_timeout": CONNECT_TIMEOUT,
    "broker_pool_acquire_timeout": ANSWER_TIMEOUT,
    "task_publish_retry_policy": {"max_retries": 1, "interval_start": 0.2},
    "redis_socket_connect_timeout": CONNECT_TIMEOUT,
    "redis_socket_timeout": ANSWER_TIMEOUT,
    "result_backend_transport_options": {"retry_policy": {"max_retries": 1, "interval_start": 0.2}},
    # One pool for all threads, so that all connections can be closed.
    "result_backend_thread_safe": True,
    # A worker connects anew whatever the broker says to it; what ends one all the same, its consumer knows.
    "broker_channel_error_retry": True,
    "beat_scheduler": "opa.tasks.beat.service:Scheduler",
}

TRANSPORT_OPTIONS: dict[str, dict[str, Any]] = {
    "redis": {"socket_connect_timeout": CONNECT_TIMEOUT, "socket_timeout": ANSWER_TIMEOUT},
    # Without confirmation a task that is written to a dead connection is lost, and nobody knows.
    "amqp": {"confirm_publish": True, "read_timeout": ANSWER_TIMEOUT, "write_timeout": ANSWER_TIMEOUT},
}


class CeleryDriver(Driver):
    """Gives a `celery.Celery`, which sends the tasks of the plugins and reads their results.

    A subclass in a plugin, with a `name` of its own, may change what it is told.
    """

    connection_errors = (
        kombu.exceptions.OperationalError,
        redis.exceptions.ConnectionError,
        redis.exceptions.TimeoutError,
        *SERVER_STATES,
    )
    permanent_errors = (
        AccessRefused,
        NotAllowed,
        ImproperlyConfigured,
        redis.exceptions.AuthenticationError,
        redis.exceptions.ResponseError,
        ValueError,
    )
    guards_client = True

    pm: PluginManager

    @cached_property
    def results_breaker(self) -> Breaker:
        """The breaker of the server that has the results; that of the broker is `breaker`."""
        return self.new_breaker(f"{self.component} results", self.ask_results, redis_pool.refusal)

    def breakers(self) -> list[Breaker]:
        """Those of the broker and of the results; none where Celery reconnects by itself."""
        # A worker and beat reach for the broker by themselves, for as long as it takes.
        return [] if is_worker() or state.get("runner") == "beat" else [self.breaker, self.results_breaker]

    def refusal(self, problem: str) -> Exception:
        """What Celery raises for a broker that does not answer."""
        return kombu.exceptions.OperationalError(problem)

    def probe(self) -> None:
        """Connect to the broker anew."""
        limits = dict.fromkeys(
            ("read_timeout", "write_timeout", "socket_timeout", "socket_connect_timeout"), PROBE_TIMEOUT
        )
        with self.app.connection_for_write(
            connect_timeout=PROBE_TIMEOUT, transport_options={**limits, BREAKER: None}
        ) as connection:
            ensure(connection, PROBE_TIMEOUT, reraise_as_library_errors=True)

    def ask_results(self) -> None:
        """Ask the server that has the results."""
        if isinstance(self.app.backend, RedisBackend):
            redis_pool.ask(self.app.backend.client.connection_pool)

    def prepare(self) -> None:
        """Configure the application that the plugins' tasks belong to, and give it to the hook.

        Raises:
            ValueError: an option is of no use; the message repeats no value, it may be a secret.
        """
        options = {key.lower(): with_keys_of_celery(key.lower(), value) for key, value in self.opts.items()}
        broker_url, backend_url = options.pop("broker_url", None), options.pop("backend_url", None)
        if unknown := sorted(options.keys() - SETTING_KEYS):
            raise ValueError(f"Celery has no setting {', '.join(unknown)}")
        if not broker_url:
            raise ValueError("OPTS has no BROKER_URL")
        # Where the settings say by other means how the certificate is checked, the URL does not.
        is_needed = "redis_backend_use_ssl" not in options and not config.get("CELERY_REDIS_BACKEND_USE_SSL")
        broker_url = with_certificate_check(broker_url) if isinstance(broker_url, str) else broker_url
        if isinstance(backend_url, str):
            backend_url = with_certificate_check(backend_url, is_needed=is_needed)
        app = application_of(self.pm)
        app.loader.override_backends = RESULT_BACKENDS
        app.conf.update(DEFAULTS, broker_url=broker_url, result_backend=backend_url or None)
        with readable_url_errors("BROKER_URL"):
            # Not the app's connection: that would make its queues before it is configured.
            transport = kombu.Connection(broker_url).transport.driver_type
        given = celery_settings(config.as_dict()) | options
        ours = transport_options(transport)
        if transport in ("amqp", "redis") and self.breakers():
            ours[BREAKER] = self.breaker
        given["broker_transport_options"] = ours | given.get("broker_transport_options", {})
        app.conf.update(with_numbers(given))
        self._check_names(app)
        app.conf.task_create_missing_queue_type = app.conf.task_default_queue_type
        if transport == "amqp" and app.conf.task_default_queue_type == "quorum":
            # A task with a countdown waits in RabbitMQ and not in a worker; that takes exchanges of this type.
            app.waits_in_broker = True
            app.conf.task_default_exchange_type = "topic"
            app.conf.task_create_missing_queue_exchange_type = "topic"
        app.conf.beat_schedule = app.schedules | self._scheduled_in_settings(app)
        app.project = config.PROJECT_ID or config.PROJECT_NAME
        # Who sets PROJECT_ID says that it is one project, wherever its plugins are.
        app.home = "" if config.PROJECT_ID else ", ".join(sorted(map(os.path.abspath, plugin_paths(config))))
        app.delivery_limit = config.TASK_DELIVERY_LIMIT
        app.limits = Limits(bytes=config.TASK_MAX_BYTES, depth=config.TASK_MAX_DEPTH)
        self.app: Celery = self._set_up(app)
        app.configure_tasks()
        self._check_tasks(app)
        self._check_queues()
        with readable_url_errors("BACKEND_URL"):
            # Celery makes its backend when it is first asked for.
            self.app.backend  # noqa: B018

    def _check_names(self, app: Any) -> None:
        for name, problem in unknown_names(app.conf):
            setting = f"{SETTING_PREFIX}{name.upper()}"
            if name in {key.lower() for key in self.opts}:
                setting = f"OPTIONAL_COMPONENTS.{self.component.upper()}.OPTS.{name.upper()}"
            raise SettingsError(f"{setting}: {problem}", where=config.source(setting))

    def _set_up(self, app: Any) -> Any:
        """What the hook makes of the application; that of the next plugin where one fails that may be skipped."""
        while True:
            hook = type(self.pm.hooks["driver.celery.setup"])
            plugin = self.pm.registry.plugin_of[hook]
            cause: BaseException | None = None
            where = where_is(hook)
            try:
                given = call_hook("driver.celery.setup", celery_app=app)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - the manager raises what it becomes
                problem, cause = f"raised {summary(error, '')}", error
                where = deepest_line_in(self.pm.folders, error) or where
            else:
                if isinstance(given, Celery):
                    return given
                problem = f"returned {kind_of(given)}, not the Celery application"
            failure = RegistrationError(
                f"hook 'driver.celery.setup' of plugin '{plugin}' {problem}",
                plugin=plugin,
                where=where,
                hint="Fix the hook, which returns the application that is to be used",
            )
            failure.__cause__ = cause
            self.pm.leave_out(plugin, failure)

    def _check_tasks(self, app: Any) -> None:
        """Skip the plugins with tasks that cannot be made, or have options that name nothing.

        Raises:
            RegistrationError: one may not be skipped.
        """
        app.note_shared_tasks()
        for task, options in list(app.looked_up_options.items()):
            for option, problem in unknown_of_task(options):
                where = app.where(task)
                failure = RegistrationError(f"task '{task}': {option} {problem}", where=where, hint="Fix its decorator")
                self._refuse(app, task, failure)
        if is_worker():  # which makes them all when it starts
            app.finalize()
        for task, failure in list(app.unmade.items()):
            self._refuse(app, task, failure)

    def _refuse(self, app: Any, task: str, failure: RegistrationError) -> None:
        function = app.functions().get(task)
        if function is None:  # its plugin was skipped meanwhile
            return
        failure.plugin = self.pm.plugin_of_module(function.__module__)
        if failure.plugin is None:
            raise failure
        self.pm.leave_out(failure.plugin, failure)

    def _check_queues(self) -> None:
        try:
            self.app.amqp.queues  # noqa: B018 - they are made when they are first asked for
        except ValueError as error:
            if config.get("CELERY_TASK_QUEUES"):
                raise SettingsError(str(error), where=config.source("CELERY_TASK_QUEUES")) from error
            hook = type(self.pm.hooks["driver.celery.setup"])
            plugin, where = self.pm.registry.plugin_of[hook], where_is(hook)
            raise RegistrationError(str(error), plugin=plugin, where=where, hint="Fix it in the hook") from error

    def _scheduled_in_settings(self, app: Any) -> dict[str, Any]:
        try:
            return parse_entries(app.conf.beat_schedule, app.functions(), app.schedules)
        except ValueError as error:
            raise SettingsError(str(error), where=config.source("CELERY_BEAT_SCHEDULE")) from error.__cause__

    def hosts(self) -> list[tuple[str, ...]]:
        """The hosts to look up before connecting; none in a worker, which goes on trying."""
        return [] if is_worker() else super().hosts()

    def connect(self) -> None:
        """Give out the application, and let the breakers guard its broker and its results."""
        self.instance = self.app
        if self.breakers():
            application_of(self.pm).breaker = self.breaker
            if isinstance(self.app.backend, RedisBackend):
                self.app.backend.client.connection_pool.guard_by(self.results_breaker)

    def validate(self) -> None:
        """Connect to the broker, and ask the server of the results; a worker does that itself."""
        if is_worker():
            return
        with self.app.connection_for_write() as connection:
            ensure(connection, CONNECT_TIMEOUT, reraise_as_library_errors=False)
        if isinstance(self.app.backend, RedisBackend):
            self.app.backend.client.ping()

    def disconnect(self) -> None:
        """Close the connections to the broker."""
        # kombu keeps its pools by URL for the whole process; nobody is to get a closed one from there.
        key = eqhash(self.app.connection_for_write())
        kombu.pools.producers.pop(key, None)
        if pool := kombu.pools.connections.pop(key, None):
            pool.force_close_all()
        forget_producers(self.app.amqp)
        if isinstance(self.app.backend, RedisBackend):
            self.app.backend.result_consumer.stop()  # type: ignore[attr-defined]  # celery-types lacks it
            self.app.backend.client.connection_pool.disconnect()
        self.app.close()


def ensure(connection: Any, time_limit: float, *, reraise_as_library_errors: bool) -> None:
    """Connect to the broker; each address once, since whoever calls this tries again by itself."""
    connection.ensure_connection(
        max_retries=max(len(connection.alt) - 1, 0),
        interval_start=0,
        timeout=time_limit,
        reraise_as_library_errors=reraise_as_library_errors,
    )


def celery_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Celery's own settings among those of opa-stack: `CELERY_TASK_ACKS_LATE` is `task_acks_late`.

    Raises:
        ValueError: Celery has no such setting.
    """
    found = {
        (key := name.removeprefix(SETTING_PREFIX).lower()): with_keys_of_celery(key, value)
        for name, value in settings.items()
        if name.startswith(SETTING_PREFIX)
    }
    if unknown := sorted(found.keys() - SETTING_KEYS):
        names = ", ".join(f"{SETTING_PREFIX}{name.upper()}" for name in unknown)
        raise ValueError(f"Celery has no setting for {names}")
    return found


def transport_options(transport: str) -> dict[str, Any]:
    """What the connection to the broker is told, by the kind of broker."""
    options = dict(TRANSPORT_OPTIONS.get(transport, {}))
    if is_worker():
        # A worker waits for messages as long as it takes; heartbeats tell it that the broker is gone.
        for name in ("read_timeout", "write_timeout", "socket_timeout"):
            options.pop(name, None)
    if transport in ("amqp", "redis"):
        options[MAX_BYTES] = config.TASK_MAX_BYTES
    if transport == "redis":
        options["visibility_timeout"] = config.TASK_VISIBILITY_TIMEOUT
        options["delivery_limit"] = config.TASK_DELIVERY_LIMIT
    return options


def is_worker() -> bool:
    """Whether this process is one of Celery's, which reach for the broker by themselves for as long as it takes."""
    return state.get("runner") == "celery"


@contextmanager
def readable_url_errors(option: str) -> Iterator[None]:
    """Turn what Celery raises for a URL into one line that does not repeat the URL, which holds a password."""
    try:
        yield
    except (ImportError, KeyError, ValueError):
        raise ValueError(
            f"{option} cannot be used: it starts with a scheme that Celery knows, its port is a number, "
            "and / ? # @ in a password are percent-encoded"
        ) from None
