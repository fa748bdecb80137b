from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path
from tempfile import gettempdir

import pytest

from tests.serve.process import wait_until
from tests.testing.suite import Suite

COMPOSE = """
services:
  redis:
    image: redis:8
    command: redis-server --requirepass secret
    container_name: fixed
    ports: ["127.0.0.1:6379:6379"]
    volumes: ["./data:/data"]
    healthcheck: {test: [CMD, redis-cli, -a, secret, ping], interval: 1s, start_interval: 1s}
  api:
    image: opa-stack
    depends_on: [redis]
    environment:
      OPA_OPTIONAL_COMPONENTS__AIOREDIS__OPTS__URL: redis://:secret@redis:6379/0
"""
TESTS = """
    import pathlib
    import pytest

    @pytest.mark.parametrize("number", range(2))
    @pytest.mark.opa_services("redis")
    def test_with_a_service(opa_app, opa_client, number):
        assert opa_client.post("/orders").json() == 1
        url = opa_app.config.OPTIONAL_COMPONENTS.AIOREDIS.OPTS.URL
        assert url.startswith("redis://:secret@127.0.0.1:") and not url.endswith(":6379/0")
        assert not pathlib.Path("data").exists()


    def test_with_a_server_of_the_session(opa_client):
        assert opa_client.post("/orders").json() == 1


    @pytest.mark.opa_services("rdis")
    def test_unknown_service(opa_client): ...
"""


def left(process: int) -> str:
    """What is there of the services that a process has started."""
    command = ["docker", "ps", "-a", "-q", "--filter", f"name=opa-testing-{process}-"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def served(suite: Suite) -> Suite:
    suite.write("docker-compose.yml", COMPOSE)
    suite.write("tests/test_services.py", TESTS)
    return suite


def test_without_docker_it_is_skipped_with_the_reason(served: Suite) -> None:
    run = served.run("-k", "number or with_a", environ={"DOCKER_HOST": "tcp://127.0.0.1:1"})
    assert "services of Docker Compose are needed, and there is no Docker here" in run.text
    assert "1 passed, 2 skipped" in run.text


@pytest.mark.docker
def test_services_are_started_beside_those_of_the_project_and_removed(served: Suite, docker: None) -> None:
    run = served.run(status=1)
    assert "there is no service 'rdis', which the mark 'opa_services' names. Did you mean 'redis'?" in run.text
    assert run.outcomes == {
        "test_with_a_service[0]": "PASSED",
        "test_with_a_service[1]": "PASSED",
        "test_with_a_server_of_the_session": "PASSED",
        "test_unknown_service": "ERROR",
    }


@pytest.mark.docker
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "SIGKILL"])
def test_nothing_is_left_when_the_session_is_interrupted(served: Suite, docker: None, number: signal.Signals) -> None:
    served.write(
        "tests/test_services.py",
        """
        import pathlib
        import signal
        import pytest

        def test_with_a_server_of_the_session(opa_client):
            opa_client.post("/orders")

        @pytest.mark.opa_services("redis")
        def test_waits(opa_client):
            pathlib.Path("waits").touch()
            signal.pause()


        """,
    )
    program = subprocess.Popen(served.command(), cwd=served.folder, env=served.environ(), stdout=subprocess.DEVNULL)
    try:
        wait_until((served.folder / "waits").exists, seconds=60)
        assert left(program.pid)
        servers = children_of(program.pid)
        program.send_signal(number)
        program.wait(60)
        wait_until(lambda: not left(program.pid), seconds=60)
        wait_until(lambda: not any(Path(f"/proc/{server}").exists() for server in servers), seconds=60)
        if number == signal.SIGINT:
            assert not list(Path(gettempdir()).glob(f"opa-testing-{program.pid}-*"))
    finally:
        program.kill()
        program.wait()
        for folder in Path(gettempdir()).glob(f"opa-testing-{program.pid}-*"):  # SIGKILL leaves nobody to remove it
            shutil.rmtree(folder)


def children_of(process: int) -> list[int]:
    """The processes that it has started."""
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
