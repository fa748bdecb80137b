"""Configures the Celery application from the settings, and checks what they and the plugins say of tasks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import kombu
from celery import Celery
from celery.app.defaults import SETTING_KEYS
from celery.utils.functional import maybe_list

from opa._util.sources import where_is
from opa._util.words import kind_of
from opa.errors import MissingSettingError, RegistrationError, SettingsError
from opa.loading.import_errors import deepest_line_in, summary
from opa.loading.plugin_paths import plugin_paths
from opa.redis_clients.urls import with_certificate_check
from opa.tasks.application import application_of
from opa.tasks.brokers.rabbitmq import BREAKER, MAX_BYTES
from opa.tasks.brokers.redis import OBSERVERS
from opa.tasks.brokers.redis_results import ANSWER_TIMEOUT, RESULT_BACKENDS
from opa.tasks.codec import Limits
from opa.tasks.declared import LIMITS as LIMIT_OPTIONS
from opa.tasks.lookups import read_texts, unknown_names, unknown_of_task
from opa.tasks.modes import is_worker
from opa.tasks.observing.observers import observers_of
from opa.tasks.passwords import with_password
from opa.tasks.schedules import parse_entries, task_named
from opa.tasks.servers import CONNECT_TIMEOUT
from opa.tasks.setting_keys import with_keys_of_celery
from opa.tasks.urls import wrong_in

if TYPE_CHECKING:
    from opa.core.drivers import Driver
    from opa.core.manager import PluginManager
    from opa.settings.load import Config

SETTING_PREFIX = "CELERY_"

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
    # A worker reconnects whatever the broker says to it; what ends one all the same, its consumer knows.
    "broker_channel_error_retry": True,
    "beat_scheduler": "opa.tasks.beat.service:Scheduler",
}

TRANSPORT_OPTIONS: dict[str, dict[str, Any]] = {
    "redis": {
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "socket_timeout": ANSWER_TIMEOUT,
        # Seconds for which a worker that was killed while it gave back messages keeps others from that; 300 in kombu.
        # Two may do it at once: each message is taken by one of them.
        "unacked_mutex_expire": 30,
    },
    # Without confirmation a task that is written to a dead connection is lost unnoticed.
    "amqp": {"confirm_publish": True, "read_timeout": ANSWER_TIMEOUT, "write_timeout": ANSWER_TIMEOUT},
}


def configure(driver: Driver, manager: PluginManager) -> Celery:
    """Configure the application that the plugins' tasks belong to, and give it to the hook.

    Args:
        driver: of the component; its options, and its breaker.
        manager: that it belongs to.

    Returns:
        What the hook made of it.

    Raises:
        ValueError: an option is of no use; the message repeats no value, it may be a secret.
    """
    config = manager.config
    options = {key.lower(): with_keys_of_celery(key.lower(), value) for key, value in driver.opts.items()}
    broker_url, backend_url = _url_of("broker", options), _url_of("backend", options)
    if unknown := sorted(options.keys() - SETTING_KEYS):
        raise ValueError(f"Celery has no setting {', '.join(unknown)}")
    if not broker_url:
        raise ValueError("OPTS has no BROKER_URL")
    broker_url = _with_certificate_check(broker_url, "broker_use_ssl", options, config)
    backend_url = _with_certificate_check(backend_url, "redis_backend_use_ssl", options, config)
    app = application_of(manager)
    app.loader.override_backends = RESULT_BACKENDS
    app.conf.update(DEFAULTS, broker_url=broker_url, result_backend=backend_url or None)
    with readable_url_errors("BROKER_URL", broker_url):
        # Not the app's connection: that would make its queues before it is configured.
        connection = kombu.Connection(broker_url)
        transport = connection.transport.driver_type
        if transport == "redis":
            int((connection.virtual_host or "").strip("/") or 0)  # kombu reads it when it connects
    given = celery_settings(config.as_dict()) | options
    for name in ("task_annotations", "task_routes"):
        if isinstance(by_task := given.get(name), Mapping):
            given[name] = {task_named(key, app.functions()): what for key, what in by_task.items()}
    ours = transport_options(transport, manager)
    if transport in ("amqp", "redis") and driver.breakers():
        ours[BREAKER] = driver.breaker
    app.observers = observers_of(manager)
    if transport == "redis" and app.observers is not None:
        ours[OBSERVERS] = app.observers
    if isinstance(more := given.get("broker_transport_options", {}), Mapping):
        given["broker_transport_options"] = {**ours, **more}
    app.conf.update(read_texts(given))
    _check_names(driver, manager, app)
    app.conf.task_create_missing_queue_type = app.conf.task_default_queue_type
    if transport == "amqp" and app.conf.task_default_queue_type == "quorum":
        # A task with a countdown waits in RabbitMQ and not in a worker; that takes exchanges of this type.
        app.waits_in_broker = True
        app.conf.task_default_exchange_type = "topic"
        app.conf.task_create_missing_queue_exchange_type = "topic"
    app.conf.beat_schedule = app.take_schedule(_scheduled_in_settings(manager, app))
    app.project = config.PROJECT_ID or config.PROJECT_NAME
    # Who sets PROJECT_ID says that it is one project, wherever its plugins are.
    app.home = "" if config.PROJECT_ID else ", ".join(sorted(map(os.path.abspath, plugin_paths(config))))
    app.missed_after = config.SCHEDULE_MISSED_AFTER
    app.delivery_limit = config.TASK_DELIVERY_LIMIT
    app.limits_without_redis = config.TASK_LIMITS_WITHOUT_REDIS
    app.limits = Limits(bytes=config.TASK_MAX_BYTES, depth=config.TASK_MAX_DEPTH)
    given_app = _set_up(manager, app)
    app.configure_tasks()
    _check_tasks(manager, app)
    _check_limits(manager, app)
    _check_queues(manager, given_app)
    with readable_url_errors("BACKEND_URL", backend_url):
        # Celery makes its backend when it is first asked for.
        given_app.backend  # noqa: B018
    return given_app


def _url_of(server: str, options: dict[str, Any]) -> Any:
    """The URL of the broker or the backend, with the password that stands beside it; both are taken out."""
    password = f"{server}_password"
    return with_password(options.pop(f"{server}_url", None), options.pop(password, None), password.upper())


def _with_certificate_check(url: Any, other: str, options: Mapping[str, Any], config: Config) -> Any:
    """The URL, which says how the certificate is checked unless the setting `other` does: kombu would not check it."""
    if not isinstance(url, str):
        return url
    return with_certificate_check(url, is_needed=not (options.get(other) or config.get(f"CELERY_{other.upper()}")))


def _check_names(driver: Driver, manager: PluginManager, app: Any) -> None:
    for name, problem in unknown_names(app.conf):
        setting = f"{SETTING_PREFIX}{name.upper()}"
        if name in {key.lower() for key in driver.opts}:
            setting = f"OPTIONAL_COMPONENTS.{driver.component.upper()}.OPTS.{name.upper()}"
        where = None
        with suppress(MissingSettingError):  # a default of Celery's, which does not go with a setting that is there
            where = manager.config.source(setting)
        raise SettingsError(f"{setting}: {problem}", where=where)


def _set_up(manager: PluginManager, app: Any) -> Celery:
    """What the hook makes of the application; that of the next plugin where one fails that may be skipped."""
    while True:
        hook = type(manager.hooks["driver.celery.setup"])
        plugin = manager.registry.plugin_of[hook]
        cause: BaseException | None = None
        where = where_is(hook)
        try:
            given = manager.call("driver.celery.setup", celery_app=app)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the manager raises what it becomes
            problem, cause = f"raised {summary(error, '')}", error
            where = deepest_line_in(manager.folders, error) or where
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
        manager.skip(plugin, failure)


def _check_tasks(manager: PluginManager, app: Any) -> None:
    """Skip the plugins with tasks that cannot be made, or have options that name nothing.

    Raises:
        RegistrationError: one may not be skipped.
    """
    app.note_shared_tasks()
    for task, options in list(app.looked_up_options.items()):
        for option, problem in unknown_of_task(options):
            where = app.where(task)
            failure = RegistrationError(f"task '{task}': {option} {problem}", where=where, hint="Fix its decorator")
            _refuse(manager, app, task, failure)
    if is_worker(manager.mode):  # which makes them all when it starts
        app.finalize()
    for task, failure in list(app.unmade.items()):
        _refuse(manager, app, task, failure)


def _check_limits(manager: PluginManager, app: Any) -> None:
    """Check what the settings say of limits, and that there is a redis for those of all tasks.

    Raises:
        SettingsError: they say what is of no use.
        RegistrationError: there is none, and the plugin may not be skipped.
    """
    given = {name.lower(): options for name, options in _annotations(app) if not set(LIMIT_OPTIONS).isdisjoint(options)}
    for name in [each for each in app.functions() if given.keys() & {"*", each.lower()}]:
        app.limited[name] = None
        try:
            limits = app.limits_of(name)
        except ValueError as error:
            where = manager.config.source("CELERY_TASK_ANNOTATIONS")
            raise SettingsError(f"CELERY_TASK_ANNOTATIONS: {name}: {error}", where=where) from error
        if limits is not None and not limits:  # they take away what the decorator says
            del app.limited[name]
    if not app.limited:
        return
    from opa.tasks.limits.store import driver_of

    for name in list(app.limited):
        try:
            app.limit_driver = driver_of(manager, name, app.where(name))
        except RegistrationError as failure:
            _refuse(manager, app, name, failure)


def _annotations(app: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for annotation in maybe_list(app.conf.task_annotations) or ():
        if isinstance(annotation, Mapping):
            yield from ((name, options) for name, options in annotation.items() if isinstance(options, Mapping))


def _refuse(manager: PluginManager, app: Any, task: str, failure: RegistrationError) -> None:
    function = app.functions().get(task)
    if function is None:  # its plugin was skipped meanwhile
        return
    failure.plugin = manager.plugin_of_module(function.__module__)
    if failure.plugin is None:
        raise failure
    manager.skip(failure.plugin, failure)


def _check_queues(manager: PluginManager, app: Celery) -> None:
    try:
        app.amqp.queues  # noqa: B018 - they are made when they are first asked for
    except ValueError as error:
        if manager.config.get("CELERY_TASK_QUEUES"):
            raise SettingsError(str(error), where=manager.config.source("CELERY_TASK_QUEUES")) from error
        hook = type(manager.hooks["driver.celery.setup"])
        plugin, where = manager.registry.plugin_of[hook], where_is(hook)
        raise RegistrationError(str(error), plugin=plugin, where=where, hint="Fix it in the hook") from error


def _scheduled_in_settings(manager: PluginManager, app: Any) -> dict[str, Any]:
    try:
        return parse_entries(app.conf.beat_schedule, app.functions(), app.schedules)
    except ValueError as error:
        raise SettingsError(str(error), where=manager.config.source("CELERY_BEAT_SCHEDULE")) from error.__cause__


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


def transport_options(transport: str, manager: PluginManager) -> dict[str, Any]:
    """What the connection to the broker is told, by the kind of broker."""
    options = dict(TRANSPORT_OPTIONS.get(transport, {}))
    if is_worker(manager.mode):
        # A worker waits for messages as long as it takes; heartbeats tell it that the broker is gone.
        for name in ("read_timeout", "write_timeout", "socket_timeout"):
            options.pop(name, None)
    if transport in ("amqp", "redis"):
        options[MAX_BYTES] = manager.config.TASK_MAX_BYTES
    if transport == "redis":
        options["visibility_timeout"] = manager.config.TASK_VISIBILITY_TIMEOUT
        options["delivery_limit"] = manager.config.TASK_DELIVERY_LIMIT
    return options


@contextmanager
def readable_url_errors(option: str, url: Any) -> Iterator[None]:
    """Turn what Celery raises for a URL into one line that does not repeat the URL, which holds a password."""
    try:
        yield
    except (ImportError, KeyError, ValueError) as error:
        raise ValueError(f"{option} cannot be used: {wrong_in(str(url), error)}") from None
