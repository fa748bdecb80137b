"""The modes `beat` and `flower` of the image, with nothing that could be written to."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.docker.engine import Container, docker, errors_of
from tests.serve.process import free_port, wait_until
from tests.servers import Server

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

LOCKED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges:true", "--network=host")
COMPONENT = "--env=OPA_OPTIONAL_COMPONENTS__CELERY__OPTS__{}_URL={}"


def start(run: Callable[..., Container], server: Server, mode: str, *options: str) -> Container:
    urls = [COMPONENT.format("BROKER", f"{server.url}/1"), COMPONENT.format("BACKEND", f"{server.url}/2")]
    container = run(*LOCKED, f"--env=MODE={mode}", *urls, *options)
    container.wait_until_healthy()
    return container


def stop(container: Container) -> int:
    docker("stop", "--time", "20", container.name)
    return container.exit_code


def test_beat_runs_on_a_disk_that_cannot_be_written(
    run: Callable[..., Container], start_redis: Callable[[], Server]
) -> None:
    schedule = '{"often": {"task": "elsewhere.run", "schedule": 1}}'
    beat = start(run, start_redis(), "beat", f"--env=OPA_CELERY_BEAT_SCHEDULE=@json {schedule}")
    wait_until(lambda: "schedule 'often': task elsewhere.run is sent" in beat.log)
    assert stop(beat) == 0


def test_flower_runs_on_a_disk_that_cannot_be_written(
    run: Callable[..., Container], start_redis: Callable[[], Server]
) -> None:
    flower = start(
        run,
        start_redis(),
        "flower",
        f"--env=OPA_FLOWER_PORT={free_port()}",
        "--env=OPA_HOST=127.0.0.1",
    )
    assert stop(flower) == 0


def test_flower_in_a_container_asks_for_a_password(run: Callable[..., Container]) -> None:
    flower = run(*LOCKED, "--env=MODE=flower")
    assert flower.wait_for_end() == 1
    (line,) = errors_of(flower.log)
    assert line.startswith("flower would be open to everyone who can reach 0.0.0.0")
