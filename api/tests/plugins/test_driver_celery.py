from __future__ import annotations

import base64
import json
import pickle
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from celery import Celery
from kombu.exceptions import DecodeError

from opa import get_component, get_instance
from opa.errors import OpaError, TaskArgumentError
from tests.project import Project
from tests.rabbitmq import RabbitMQ
from tests.servers import Server, wait_until

SENDER = """
from opa import get_instance, get_router

router = get_router()

@router.post("/tasks/{number}")
def send(number: int):
    return get_instance("celery").send_task("numbers.double", args=[number]).id

@router.get("/tasks/{task_id}")
def read(task_id: str):
    result = get_instance("celery").AsyncResult(task_id)
    return {"state": result.state, "result": result.result}
"""

HOOK = """
from opa import Hook

class Slow(Hook):
    name = "driver.celery.setup"

    def run(self, celery_app):
        celery_app.conf.task_default_queue = "slow"
        return celery_app
"""


@pytest.fixture
def sender(project: Project) -> Project:
    project.plugin("sender.py", SENDER)
    return project


def connect(project: Project, broker: str, backend: str, **opts: Any) -> None:
    project.component("CELERY", "celery", BROKER_URL=f"{broker}/1", BACKEND_URL=f"{backend}/2", **opts)


def sent(url: str, queue: str = "celery") -> list[Any]:
    """The arguments of the tasks that wait in a queue, and take them out."""
    with redis.Redis.from_url(f"{url}/1") as client:
        messages = [json.loads(message) for message in client.lpop(queue, 1000) or []]
    assert all(message["content-type"] == "application/json" for message in messages)
    bodies = [json.loads(base64.b64decode(message["body"])) for message in messages]
    return sorted(args for args, _, _ in bodies)


def finish(url: str, task_id: str, result: object) -> None:
    """Store a result as a worker does."""
    meta = {"task_id": task_id, "status": "SUCCESS", "result": result, "traceback": None, "children": []}
    with redis.Redis.from_url(f"{url}/2") as client:
        client.set(f"celery-task-meta-{task_id}", json.dumps(meta))


def test_a_route_sends_a_task_and_reads_its_result(sender: Project, start_redis: Callable[[], Server]) -> None:
    url = start_redis().url
    connect(sender, url, url)
    with sender.client() as client:
        task_id = client.post("/tasks/21").json()
        assert client.get(f"/tasks/{task_id}").json() == {"state": "PENDING", "result": None}
        assert sent(url) == [[21]]
        finish(url, task_id, 42)
        assert client.get(f"/tasks/{task_id}").json() == {"state": "SUCCESS", "result": 42}


def test_while_the_broker_is_gone_a_route_answers_503_and_then_works_again(
    sender: Project, start_redis: Callable[[], Server]
) -> None:
    broker, backend = start_redis(), start_redis()
    connect(sender, broker.url, backend.url)
    with sender.client() as client:
        assert client.post("/tasks/1").status_code == 200
        broker.kill()
        before = time.monotonic()
        assert client.post("/tasks/2").status_code == 503
        assert time.monotonic() - before < 3
        broker.start()
        wait_until(lambda: client.post("/tasks/3").status_code == 200, seconds=10)


def test_while_the_backend_is_gone_tasks_are_sent_and_results_are_503(
    sender: Project, start_redis: Callable[[], Server]
) -> None:
    broker, backend = start_redis(), start_redis()
    connect(sender, broker.url, backend.url)
    with sender.client() as client:
        task_id = client.post("/tasks/1").json()
        backend.kill()
        assert client.post("/tasks/2").status_code == 200
        assert client.get(f"/tasks/{task_id}").status_code == 503
        backend.start()
        wait_until(lambda: client.get(f"/tasks/{task_id}").status_code == 200, seconds=10)
        assert client.get(f"/tasks/{task_id}").json()["state"] == "PENDING"
    assert sent(broker.url) == [[1], [2]]


def test_a_worker_that_was_killed_keeps_others_from_giving_back_messages_for_half_a_minute_at_most(
    sender: Project, redis_url: str
) -> None:
    connect(sender, redis_url, redis_url)
    with sender.client(), get_instance("celery").connection_for_write() as connection:
        assert connection.default_channel.unacked_mutex_expire == 30


def test_a_broker_that_hangs_costs_a_request_a_bounded_time(sender: Project, start_redis: Callable[[], Server]) -> None:
    broker, backend = start_redis(), start_redis()
    connect(sender, broker.url, backend.url, BROKER_TRANSPORT_OPTIONS={"socket_timeout": 0.5})
    with sender.client() as client:
        assert client.post("/tasks/1").status_code == 200
        broker.hang()
        before = time.monotonic()
        assert client.post("/tasks/2").status_code == 503
        assert time.monotonic() - before < 5
        broker.kill()


@pytest.mark.parametrize("path", ["send", "results"])
def test_requests_that_wait_are_let_go_once_it_is_known_that_a_server_hangs(
    sender: Project, start_redis: Callable[[], Server], path: str
) -> None:
    servers = {"send": start_redis(), "results": start_redis()}
    limits = {"BROKER_TRANSPORT_OPTIONS": {"socket_timeout": 60}, "BROKER_POOL_LIMIT": 2, "REDIS_SOCKET_TIMEOUT": 60}
    connect(sender, servers["send"].url, servers["results"].url, BROKER_POOL_ACQUIRE_TIMEOUT=60, **limits)
    with sender.client() as client, ThreadPoolExecutor(5) as threads:
        task_id = client.post("/tasks/1").json()
        calls: dict[str, Callable[[], Any]] = {
            "send": lambda: client.post("/tasks/2"),
            "results": lambda: client.get(f"/tasks/{task_id}"),
        }
        call = calls.pop(path)
        other = next(iter(calls.values()))
        assert call().status_code == 200
        servers[path].hang()
        try:
            waiting = [threads.submit(call) for _ in range(5)]
            time.sleep(0.5)
            component: Any = get_component("celery")
            (component.breaker if path == "send" else component.results_breaker).suspect()
            assert [request.result(40).status_code for request in waiting] == [503] * 5
            assert call().status_code == 503
            assert other().status_code == 200
            assert {"name": "celery", "status": "does not answer"} in client.get("/readyz").json()["components"]
        finally:
            servers[path].go_on()
        wait_until(lambda: call().status_code == 200, seconds=20)


@pytest.mark.docker
def test_while_rabbitmq_hangs_requests_are_let_go_and_then_tasks_are_sent_again(
    sender: Project, start_rabbitmq: Callable[[], RabbitMQ], redis_url: str
) -> None:
    rabbitmq = start_rabbitmq()
    options: dict[str, Any] = {
        "BROKER_TRANSPORT_OPTIONS": {"read_timeout": 60, "write_timeout": 60},
        "BROKER_POOL_LIMIT": 2,
    }
    sender.component("CELERY", "celery", BROKER_URL=rabbitmq.virtual_host(), BACKEND_URL=redis_url, **options)
    with sender.client() as client, ThreadPoolExecutor(5) as threads:
        assert client.post("/tasks/1").status_code == 200
        rabbitmq.hang()
        try:
            waiting = [threads.submit(client.post, "/tasks/2") for _ in range(2)]
            time.sleep(0.5)
            get_component("celery").breaker.suspect()
            assert [request.result(40).status_code for request in waiting] == [503] * 2
            assert client.post("/tasks/3").status_code == 503
        finally:
            rabbitmq.go_on()
        wait_until(lambda: client.post("/tasks/4").status_code == 200, seconds=20)


def test_many_requests_send_at_the_same_time(sender: Project, start_redis: Callable[[], Server]) -> None:
    url = start_redis().url
    connect(sender, url, url)
    numbers = range(200)
    with sender.client() as client, ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda number: client.post(f"/tasks/{number}"), numbers))
        assert {answer.status_code for answer in answers} == {200}
    assert sent(url) == [[number] for number in numbers]


def test_sending_leaves_no_subscription_behind(sender: Project, start_redis: Callable[[], Server]) -> None:
    url = start_redis().url
    connect(sender, url, url)
    with sender.client() as client, redis.Redis.from_url(url) as other:
        for number in range(5):
            client.post(f"/tasks/{number}").raise_for_status()
        assert other.pubsub_channels("celery-task-meta-*") == []


def test_a_result_can_be_waited_for_also_after_the_backend_was_gone(
    sender: Project, start_redis: Callable[[], Server]
) -> None:
    broker, backend = start_redis(), start_redis()
    connect(sender, broker.url, backend.url)
    with sender.client():
        celery = get_instance("celery")
        component: Any = get_component("celery")
        results = [celery.send_task("numbers.double") for _ in range(2)]
        for result in results:
            backend.kill()
            with pytest.raises(redis.ConnectionError):
                result.get(timeout=5)
            backend.start()
            wait_until(lambda: not component.results_breaker.is_open, seconds=10)
            finish(backend.url, result.id, 42)
            assert result.get(timeout=5) == 42


def test_the_hook_changes_the_application(sender: Project, start_redis: Callable[[], Server]) -> None:
    sender.plugin("hook.py", HOOK)
    url = start_redis().url
    connect(sender, url, url)
    with sender.client() as client:
        client.post("/tasks/1").raise_for_status()
    assert sent(url, queue="slow") == [[1]]


def test_opts_are_settings_of_celery(sender: Project, start_redis: Callable[[], Server]) -> None:
    url = start_redis().url
    connect(sender, url, url, TASK_DEFAULT_QUEUE="special")
    with sender.client() as client:
        assert isinstance(get_instance("celery"), Celery)
        client.post("/tasks/1").raise_for_status()
    assert sent(url, queue="special") == [[1]]


def test_nothing_but_json_is_sent_or_read(sender: Project, redis_url: str) -> None:
    connect(sender, redis_url, redis_url)
    with sender.client():
        celery = get_instance("celery")
        with pytest.raises(TaskArgumentError, match="'numbers.double' is sent with argument number 1"):
            celery.send_task("numbers.double", args=[object()])
        result = celery.AsyncResult("pickled")
        with redis.Redis.from_url(f"{redis_url}/2") as client:
            client.set("celery-task-meta-pickled", pickle.dumps({"status": "SUCCESS", "result": 1}))
        with pytest.raises(DecodeError):
            _ = result.state


def test_the_driver_works_again_in_a_process_that_has_stopped_it(
    sender: Project, start_redis: Callable[[], Server]
) -> None:
    url = start_redis().url
    connect(sender, url, url)
    for number in (1, 2):
        with sender.client() as client:
            client.post(f"/tasks/{number}").raise_for_status()
    assert sent(url) == [[1], [2]]


def test_stopping_closes_every_connection(sender: Project, start_redis: Callable[[], Server]) -> None:
    url = start_redis().url
    connect(sender, url, url)
    with redis.Redis.from_url(url) as other:
        with sender.client() as client:
            task_id = client.post("/tasks/1").json()
            client.get(f"/tasks/{task_id}").raise_for_status()
            assert len(other.client_list()) >= 3
        wait_until(lambda: len(other.client_list()) == 1)


def test_a_broker_that_refuses_is_said_after_the_time_limit(sender: Project, start_redis: Callable[[], Server]) -> None:
    server = start_redis()
    server.kill()
    connect(sender, server.url, server.url)
    sender.settings(COMPONENT_CONNECT_TIMEOUT=2)
    before = time.monotonic()
    with pytest.raises(OpaError, match="'celery'.*within 2 s.*refused"), sender.client():
        pass
    assert time.monotonic() - before < 25


def test_a_wrong_password_is_said_at_once_and_not_shown(sender: Project, start_redis: Callable[[], Server]) -> None:
    url = start_redis().url
    with redis.Redis.from_url(url) as admin:
        admin.config_set("requirepass", "right")
    wrong = url.replace("//", "//:hunter2@")
    connect(sender, wrong, wrong)
    with pytest.raises(OpaError, match="AuthenticationError") as caught, sender.client():
        pass
    assert "hunter2" not in str(caught.value)
    assert "tries" not in str(caught.value)


def test_the_passwords_of_the_broker_and_the_results_may_stand_beside_their_urls(
    sender: Project, start_redis: Callable[[], Server]
) -> None:
    broker, backend = start_redis(), start_redis()
    for server, password in ((broker, "p@ss/w%40:rd#"), (backend, "another one")):
        with redis.Redis.from_url(server.url) as admin:
            admin.config_set("requirepass", password)
    connect(sender, broker.url, backend.url, BROKER_PASSWORD="p@ss/w%40:rd#", BACKEND_PASSWORD="another one")
    with sender.client() as client:
        task_id = client.post("/tasks/21").json()
        assert client.get(f"/tasks/{task_id}").json() == {"state": "PENDING", "result": None}


@pytest.mark.parametrize(
    ("opts", "said"),
    [
        ({"BROKER_URL": "ftp://u:hunter2@127.0.0.1"}, "BROKER_URL"),
        ({"BROKER_URL": "redis://u:hunter2/x@127.0.0.1"}, "BROKER_URL"),
        ({"BROKER_URL": "redis://127.0.0.1", "BACKEND_URL": "redis://u:hunter2/x@127.0.0.1"}, "BACKEND_URL"),
        ({"BROKER_URL": "redis://127.0.0.1", "BACKEND_URL": "ftp://u:hunter2@127.0.0.1"}, "BACKEND_URL"),
        ({"BROKER_URL": "redis://127.0.0.1", "TASK_DEFAULT_QUEUES": "x"}, "no setting task_default_queues"),
        ({"BACKEND_URL": "redis://127.0.0.1"}, "OPTS has no BROKER_URL"),
        ({"BROKER_URL": "hunter2", "BROKER_PASSWORD": "hunter2"}, "BROKER_PASSWORD is for a server"),
    ],
)
def test_an_option_that_is_of_no_use_is_named_and_its_value_is_not(
    project: Project, opts: dict[str, Any], said: str
) -> None:
    project.component("THING", "celery", **opts)
    with pytest.raises(OpaError) as caught:
        project.prepare()
    assert said in str(caught.value)
    assert "'thing'" in str(caught.value)
    assert "hunter2" not in str(caught.value)
