"""`docker compose up`: the api, a worker and a beat with redis, mongo and rabbitmq."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from opa.serve import beat, server, worker
from opa.settings.load import load_settings
from tests.docker.engine import HELLO, Answer, Stack, docker, running, write_plugin
from tests.serve.process import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

SERVICES = """
from typing import Annotated, Any

from opa import Component, get_instance, get_router, task

router = get_router()


@task
async def double(number: int) -> int:
    return 2 * number


@task(schedule=1)
def count_runs() -> None:
    get_instance("walrus").incr("runs")


@router.get("/walrus")
def count_with_walrus() -> int:
    return get_instance("walrus").incr("calls")


@router.get("/aioredis")
async def count_with_aioredis(redis: Annotated[Any, Component("aioredis")]) -> int:
    return await redis.incr("calls")


@router.get("/mongo")
async def count_with_mongo(mongo: Annotated[Any, Component("mongodb")]) -> int:
    calls = mongo.get_default_database().calls
    await calls.insert_one({})
    return await calls.count_documents({})


@router.get("/task")
async def run_task() -> int:
    result = await double.send(21)
    return await result.get(timeout=60)


@router.get("/runs")
def runs() -> int:
    return int(get_instance("walrus").get("runs") or 0)
"""

OURS = ("api", "worker", "beat")
ROUTES = {"redis": ("/walrus", "/aioredis"), "mongo": ("/mongo",), "rabbitmq": ("/task",)}
LIMIT = 15  # seconds that a route may take to find out that its service is gone


@pytest.fixture(scope="module")
def stack(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    # A name that no image has yet: compose builds it, as in a fresh clone; from the layers of `image`, so at no cost.
    stack = Stack(tmp_path_factory.mktemp("stack"), f"{image}-by-compose")
    write_plugin(stack.plugins, "hello.py", HELLO.format(word="world"))
    write_plugin(stack.plugins, "services.py", SERVICES)
    try:
        with running(stack):
            yield stack
    finally:
        docker("rmi", "--force", stack.image, check=False)


def test_a_plugin_dropped_into_the_folder_is_an_api(stack: Stack) -> None:
    assert stack.get("/hello") == Answer(200, "world")


def test_every_component_is_connected(stack: Stack) -> None:
    answer = stack.get("/readyz")
    assert answer.status == 200
    # PostgreSQL starts with COMPOSE_PROFILES=sql.
    states = {state["name"]: state["status"] for state in answer.body["components"]}
    assert {states.pop("sql"), states.pop("sql_sync")} == {"not loaded"}
    assert {*states.values()} == {"connected"}


@pytest.mark.parametrize("route", ["/walrus", "/aioredis", "/mongo", "/task"])
def test_a_route_uses_the_service(stack: Stack, route: str) -> None:
    assert stack.get(route).status == 200


def test_a_task_that_the_api_sends_is_run_by_the_worker(stack: Stack) -> None:
    assert stack.get("/task") == Answer(200, 42)


def test_beat_sends_the_tasks_of_the_schedule(stack: Stack) -> None:
    before = stack.get("/runs").body
    wait_until(lambda: stack.get("/runs").body > before + 1, what="the task of the schedule runs again and again")


@pytest.mark.parametrize("service", OURS)
def test_a_service_of_ours_has_no_more_rights_than_it_needs(stack: Stack, service: str) -> None:
    template = "{{json .HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}}"
    assert stack.inspect(service, template) == "true [ALL] [no-new-privileges:true]"
    assert stack.compose("exec", service, "id", "-u").strip() != "0"
    assert "Read-only file system" in stack.compose("exec", service, "touch", "/plugins/new.py", check=False)


def containers(stack: Stack) -> dict[str, str]:
    """The ids of the containers that the stack has, stopped ones too."""
    lines = stack.compose("ps", "--all", "--no-trunc", "--format", "{{.Service}} {{.ID}}").splitlines()
    return dict(line.split() for line in lines)


@pytest.mark.parametrize("options", [(), ("--build",)], ids=["", "--build"])
def test_another_up_leaves_containers_as_they_are(stack: Stack, options: tuple[str, ...]) -> None:
    before = containers(stack)
    assert set(before) == {*OURS, *ROUTES}
    stack.compose("up", "--detach", "--wait", *options)
    assert containers(stack) == before


def test_a_worker_alone_comes_up_in_a_fresh_clone_and_the_others_after_it(image: str, tmp_path: Path) -> None:
    stack = Stack(tmp_path, f"{image}-for-worker")
    stack.leave_out(*ROUTES)
    try:
        stack.compose("up", "--detach", "worker")
        before = containers(stack)
        assert set(before) == {"worker"}
        stack.compose("up", "--detach")
        after = containers(stack)
        assert set(after) == set(OURS)
        assert after["worker"] == before["worker"]
    finally:
        stack.compose("kill", check=False)
        stack.compose("down", "--volumes", check=False)
        docker("rmi", "--force", stack.image, check=False)


@pytest.mark.parametrize("service", [*OURS, *ROUTES])
def test_a_container_has_limits(stack: Stack, service: str) -> None:
    host = json.loads(stack.inspect(service, "{{json .HostConfig}}"))
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "5"}}
    assert 0 < host["Memory"] <= 4 << 30
    assert 0 < host["PidsLimit"] <= 4096


@pytest.mark.parametrize("service", ROUTES)
def test_a_service_of_others_has_no_more_rights_than_its_entrypoint_needs(stack: Stack, service: str) -> None:
    host = json.loads(stack.inspect(service, "{{json .HostConfig}}"))
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["CapDrop"] == ["ALL"]
    assert {name.removeprefix("CAP_") for name in host["CapAdd"]} == {"CHOWN", "DAC_OVERRIDE", "SETGID", "SETUID"}
    assert host["ReadonlyRootfs"]


@pytest.mark.parametrize("service", OURS)
def test_a_service_of_ours_has_the_time_that_it_needs_to_stop(stack: Stack, service: str) -> None:
    config = load_settings()
    needed = {
        "api": server.stop_limit(config),
        "worker": config.GRACEFUL_TIMEOUT + worker.SHUTDOWN_MARGIN,
        "beat": beat.STOP_LIMIT,
    }
    assert int(stack.inspect(service, "{{.Config.StopTimeout}}")) > needed[service]


def test_services_want_a_password(stack: Stack) -> None:
    assert "NOAUTH" in stack.compose("exec", "--env", "REDISCLI_AUTH=", "redis", "redis-cli", "incr", "calls")


def test_every_service_comes_up_again_by_itself(stack: Stack) -> None:
    for service in (*OURS, *ROUTES):
        assert stack.inspect(service, "{{.HostConfig.RestartPolicy.Name}}") == "unless-stopped"


def test_only_the_api_and_the_management_pages_have_ports_and_on_loopback(stack: Stack) -> None:
    published = {
        service: json.loads(stack.inspect(service, "{{json .HostConfig.PortBindings}}")) for service in (*OURS, *ROUTES)
    }
    assert {service: list(ports) for service, ports in published.items() if ports} == {
        "api": ["8000/tcp"],
        "rabbitmq": ["15672/tcp"],
    }
    addresses = {
        binding["HostIp"] for ports in published.values() for bindings in ports.values() for binding in bindings
    }
    assert addresses == {"127.0.0.1"}


def answers_steadily(stack: Stack, route: str) -> bool:
    """Whether several calls in a row succeed: each worker may have to find out for itself that a connection is dead."""
    return all(stack.get(route).status == 200 for _ in range(10))


@pytest.mark.parametrize(("service", "how"), [*((name, "stop") for name in ROUTES), ("redis", "hang")])
def test_without_a_service_its_routes_answer_503_and_recover_without_a_restart(
    stack: Stack, service: str, how: str
) -> None:
    started = stack.inspect("api", "{{.State.StartedAt}}")
    if how == "stop":
        stack.compose("stop", "--timeout", "5", service)
    else:
        # Not `pause`: a health check that begins in that moment keeps the engine from ever resuming the container.
        stack.compose("kill", "--signal", "STOP", service)
    try:
        for route in ROUTES[service]:
            began = time.monotonic()
            assert stack.get(route).status == 503, route
            assert time.monotonic() - began < LIMIT
        others = [route for name in {"redis", "mongo"} - {service} for route in ROUTES[name]]
        for route in ("/hello", *others):
            assert stack.get(route).status == 200, route
    finally:
        stack.compose(*(["start"] if how == "stop" else ["kill", "--signal", "CONT"]), service)
    for route in ROUTES[service]:
        wait_until(lambda route=route: answers_steadily(stack, route), what=f"{route} recovers")  # type: ignore[misc]
    assert stack.inspect("api", "{{.State.StartedAt}}") == started


def test_with_redis_and_mongo_left_out_the_api_serves_and_says_what_it_has_not(image: str, tmp_path: Path) -> None:
    stack = Stack(tmp_path, image)
    stack.leave_out("redis", "mongo", "rabbitmq", "worker", "beat")
    write_plugin(stack.plugins, "hello.py", HELLO.format(word="world"))
    write_plugin(stack.plugins, "services.py", SERVICES)
    with running(stack):
        assert stack.compose("ps", "--services").split() == ["api"]
        assert stack.get("/hello") == Answer(200, "world")
        ready = stack.get("/readyz")
        assert ready.status == 200
        states = {state["name"]: state for state in ready.body["components"]}
        assert states["walrus"] == {"name": "walrus", "status": "not loaded"}
        assert "walrus (host 'redis' does not resolve, LOAD is auto)" in stack.log
        answer = stack.get("/walrus")
        assert answer.status == 503
        assert answer.body["detail"] == "component 'walrus' is unavailable"
