"""The kind: two projects, or two parts of one process, write to one place, and take each other's for their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cases.place import Place, case
from tests.cases.tasks_of_any_make import WITHOUT_SERVER
from tests.serve.process import wait_until
from tests.servers import redis_server


@contextmanager
def beat(place: Place, url: str, number: int, **environ: str) -> Iterator[Path]:
    """`MODE=beat opa start` with a task that is due every second; gives its log."""
    folder = place.folder / f"plugins-{number}"
    place.write(f"{folder.name}/tick{number}.py", "from opa import task\n\n@task(schedule=1)\ndef tick(): ...\n")
    log = place.folder / f"beat-{number}.txt"
    environ |= {
        "MODE": "beat",
        "OPA_PLUGIN_PATHS": str(folder),
        "OPA_OPTIONAL_COMPONENTS__CELERY__LOAD": "yes",
        "OPA_OPTIONAL_COMPONENTS__CELERY__OPTS__BROKER_URL": f"{url}/{number}",
        "OPA_OPTIONAL_COMPONENTS__CELERY__OPTS__BACKEND_URL": f"{url}/0",
    }
    with log.open("wb") as output:
        command = [Path(sys.executable).with_name("opa"), "start"]
        process = subprocess.Popen(command, env=place.environ | environ, stdout=output, stderr=output)
    try:
        yield log
    finally:
        process.kill()
        process.wait()


@case("B31", "The beats of two projects that share a redis both send, or the second says what to set")
def two_projects_on_one_redis(place: Place) -> None:
    with redis_server(place.folder) as server:
        second_project = beat(place, server.url, 2, OPA_PROJECT_NAME="Second")
        with beat(place, server.url, 1) as first, second_project as second:
            for log in (first, second):
                wait_until(lambda log=log: "is sent" in log.read_text(), what=log.name)
            with beat(place, server.url, 3) as third:
                wait_until(lambda: "PROJECT_ID" in third.read_text(), what="the third says what to set")


@case("B38", "A worker with a beat in itself (-B) is refused in a line: each wrote its signs of life over the other's")
def a_worker_with_a_beat(place: Place) -> None:
    for params in ("-B", "--beat -c 1", "-EB"):
        seen = place.run("start", MODE="worker", CELERY_PARAMS=params, **WITHOUT_SERVER)
        assert seen.returncode == 1
        assert "a worker has no beat in itself" in seen.stderr
        assert "MODE=beat" in seen.stderr
        assert "Traceback" not in seen.stderr
