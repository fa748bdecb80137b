"""Celery's private names that are used are there, with the shapes that are relied on."""

from __future__ import annotations

import inspect
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery, _state, beat, shared_task
from celery.app.amqp import AMQP
from celery.backends import redis as celery_redis
from celery.backends.base import Backend as CeleryBackend
from celery.concurrency import asynpool
from celery.concurrency import prefork as celery_prefork
from celery.concurrency.prefork import TaskPool
from celery.schedules import crontab, schedule
from celery.worker import WorkController as CeleryWorker
from celery.worker import components
from celery.worker import request as celery_request

from opa._compat.celery import app as compat
from opa._compat.celery import results, worker
from opa._compat.celery.beat import Scheduler
from tests._compat.shapes import parameters, source_names
from tests.project import clean_imports

# celery-types lacks what is private.
celery_state: Any = _state
Request: Any = celery_request.Request
WorkController: Any = CeleryWorker
Backend: Any = CeleryBackend
redis: Any = celery_redis
prefork: Any = celery_prefork


def test_tasks_that_are_made_stand_in_a_dict_by_their_names() -> None:
    app = compat.Application("some", set_as_current=False)

    @app.task(name="hello", lazy=False, shared=False)
    def hello() -> None: ...

    assert isinstance(app.made_tasks, dict)
    assert app.made_tasks["hello"].run.__name__ == "hello"


def test_application_makes_its_tasks_by_task_from_function() -> None:
    made: list[tuple[str | None, dict[str, Any]]] = []

    class Noting(compat.Application):
        def task_from_function(self, fun: Any, name: str | None = None, base: Any = None, **options: Any) -> Any:
            made.append((name, options))
            return super().task_from_function(fun, name, base, **options)

    app = Noting("some", set_as_current=False)

    @app.task(name="hello", lazy=False, shared=False, bind=True)
    def hello(self: Any) -> Any:
        return self.name

    assert hello() == "hello"
    assert [name for name, _ in made] == ["hello"]
    assert made[0][1]["bind"] is True


def test_shared_tasks_are_declared_to_an_application() -> None:
    declared: list[str] = []

    class Noting(compat.Application):
        def task_from_function(self, fun: Any, name: str | None = None, base: Any = None, **options: Any) -> Any:
            declared.append(f"{name}")
            return SimpleNamespace(name=name)

    with clean_imports():
        shared_task(name="shared-of-compat")(test_shared_tasks_are_declared_to_an_application)
        compat.announce_finalized(Noting("other", set_as_current=False))
    assert "shared-of-compat" in declared


def test_no_task_is_current_outside_of_one() -> None:
    assert compat.get_current_task() is None


def test_current_task_is_the_one_that_is_called() -> None:
    app = Celery("some", set_as_current=False)

    @app.task(name="hello", shared=False)
    def hello() -> Any:
        return compat.get_current_task().name

    assert hello() == "hello"


def test_tasks_are_sent_by_the_function_that_the_queues_make_once() -> None:
    app = compat.Application("some", set_as_current=False, amqp=f"{compat.Amqp.__module__}:{compat.Amqp.__name__}")
    assert parameters(app.amqp.send_task_message)[:3] == ["producer", "name", "message"]


def test_pools_are_created_again_when_they_were_closed() -> None:
    app = compat.Application("some", broker="memory://", set_as_current=False)
    compat.close_pools(app)  # none was used
    before = compat.pool_of_producers(app.amqp)
    before.acquire(block=True)
    compat.close_pools(app)
    assert compat.used_pools(app) == (None, None)
    assert compat.pool_of_producers(app.amqp) is not before
    assert AMQP._producer_pool is None  # type: ignore[attr-defined]  # celery-types lacks it
    compat.close_pools(app)


def test_applications_have_a_pool_each_with_its_own_limit_whichever_threads_are_first() -> None:
    """With kombu's, one of the threads met pools that changed, and one of the applications the limit of the other."""
    apps = [compat.Application("some", broker="memory://limited", set_as_current=False) for _ in range(20)]
    for limit, app in enumerate(apps, 1):
        app.conf.broker_pool_limit = limit
    with ThreadPoolExecutor(20) as threads:
        pools = list(threads.map(lambda n: compat.pool_of_producers(apps[n % 20].amqp), range(200)))
    try:
        assert [pools[n].limit for n in range(20)] == [pools[n].connections.limit for n in range(20)] == [*range(1, 21)]
        assert all(pools[n] is pools[n % 20] for n in range(200))
        assert len({id(pool.connections) for pool in pools}) == 20
        assert all(compat.pool_of_connections(app) is pools[n].connections for n, app in enumerate(apps))
    finally:
        for app in apps:
            compat.close_pools(app)


def test_pools_of_an_application_are_those_that_were_used() -> None:
    app = compat.Application("some", broker="memory://", set_as_current=False)
    assert compat.used_pools(app) == (None, None)
    producers = compat.pool_of_producers(app.amqp)
    assert compat.used_pools(app) == (compat.pool_of_connections(app), producers)
    compat.close_pools(app)


def test_fields_of_a_crontab_are_as_they_were_written() -> None:
    assert compat.crontab_fields(crontab(minute="*/5", hour="7-9", day_of_week="mon")) == [
        "*/5",
        "7-9",
        "*",
        "*",
        "mon",
    ]


def test_beat_logs_an_entry_whose_next_run_cannot_be_calculated(caplog: pytest.LogCaptureFixture) -> None:
    app = Celery("some", set_as_current=False)
    entry = beat.ScheduleEntry(name="broken", task="t", schedule=schedule(60), app=app)
    is_due, pause = Scheduler(app, lazy=True).never_due(entry)
    assert not is_due
    assert pause > 0
    assert "broken" in caplog.text


def test_request_knows_the_errors_of_a_lost_connection_and_what_was_revoked() -> None:
    assert source_names(Request, "_connection_errors = connection_errors")
    assert Request._already_revoked is False
    assert "if self._already_revoked" in inspect.getsource(Request.revoked)
    assert parameters(Request._announce_revoked) == ["reason", "terminated", "signum", "expired"]


def test_worker_hands_tasks_to_the_pool_by_the_method_that_is_overridden() -> None:
    source = inspect.getsource(components)
    assert "w.process_task = w._process_task" in source
    assert "w._quick_release = " in source
    assert parameters(WorkController._process_task) == ["req"]


def test_worker_tells_that_it_has_stopped_when_its_pool_has() -> None:
    stop = inspect.getsource(WorkController.stop)
    assert stop.index("self._shutdown(") < stop.index("self._send_worker_shutdown()")


def test_prefork_pool_has_its_children_in_the_pool_of_billiard() -> None:
    assert "self._pool" in inspect.getsource(TaskPool)
    assert "self._pool = []" in inspect.getsource(asynpool.AsynPool.__mro__[1])
    assert worker.children_of(object()) == []


def test_callbacks_of_the_event_loop_are_run_with_the_loop() -> None:
    assert parameters(prefork._run_ready_callbacks) == ["hub"]
    assert worker.run_ready_callbacks is prefork._run_ready_callbacks


def test_results_in_redis_are_written_through_the_method_that_is_overridden() -> None:
    assert "self._store_result," in inspect.getsource(Backend.store_result)
    assert parameters(results.RedisBackend._store_result)[:5] == ["task_id", "result", "state", "traceback", "request"]
    assert {"result", "state", "traceback", "request"} <= set(parameters(Backend._get_result_meta))
    assert results.RedisBackend.LONGEST_TEXT == 512 * 1024 * 1024


def test_pool_of_connections_is_made_by_the_method_that_is_overridden() -> None:
    assert "self._get_pool(**params)" in inspect.getsource(redis.RedisBackend._create_client)


def test_the_consumer_of_results_asks_its_backend_for_the_errors_of_a_lost_connection() -> None:
    assert source_names(redis.ResultConsumer, "_connection_errors = self.backend.connection_errors")
    assert parameters(redis.ResultConsumer._reconnect) == []


def test_applications_begin_anew_and_shared_tasks_are_forgotten() -> None:
    with clean_imports():
        before = compat.shared_tasks()
        app = compat.Application("some", set_as_current=True)
        app.set_default()

        @shared_task(name="shared")
        def shared() -> None: ...

        assert len(compat.shared_tasks() - before) == 1
        compat.begin_anew(before)
        assert compat.shared_tasks() <= before | {
            each for each in compat.shared_tasks() if each.__module__ == "celery.app.builtins"
        }
        assert celery_state.default_app is None
        assert celery_state._tls.current_app is None


def test_function_of_a_task_is_called_by_its_name() -> None:
    app = compat.Application("some", set_as_current=False)
    called = []

    @app.task(name="plain", lazy=False, shared=False)
    def plain() -> None: ...

    @app.task(name="again", lazy=False, shared=False, autoretry_for=(ValueError,))
    def again() -> None: ...

    assert [compat.function_name(task) for task in (plain, again)] == ["run", "_orig_run"]
    for task in (plain, again):
        setattr(task, compat.function_name(task), lambda: called.append(1))
        task.run()
    assert called == [1, 1]
