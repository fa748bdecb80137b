"""The kind: two projects, or two parts of one process, write to one place, and take each other's for their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from tests import programs
from tests.cases.place import Place, case
from tests.cases.tasks_of_any_make import WITHOUT_SERVER
from tests.serve.process import wait_until
from tests.servers import redis_server
from tests.tasks.workers import Worker


@contextmanager
def beat(place: Place, url: str, number: int, **environ: str) -> Iterator[Worker]:
    """`MODE=beat opa start` with a task that is due every second."""
    folder = place.folder / f"plugins-{number}"
    place.write(f"{folder.name}/tick{number}.py", "from opa import task\n\n@task(schedule=1)\ndef tick(): ...\n")
    environ |= {
        "MODE": "beat",
        "OPA_PLUGIN_PATHS": str(folder),
        "OPA_OPTIONAL_COMPONENTS__CELERY__LOAD": "yes",
        "OPA_OPTIONAL_COMPONENTS__CELERY__OPTS__BROKER_URL": f"{url}/{number}",
        "OPA_OPTIONAL_COMPONENTS__CELERY__OPTS__BACKEND_URL": f"{url}/0",
    }
    beat = Worker(place.folder, f"beat-{number}", [programs.OPA, "start"], place.environ | environ)
    try:
        yield beat
    finally:
        beat.destroy()


@case("B31", "The beats of two projects that share a redis both send, or the second says what to set")
def two_projects_on_one_redis(place: Place) -> None:
    with redis_server(place.folder) as server:
        second_project = beat(place, server.url, 2, OPA_PROJECT_NAME="Second")
        with beat(place, server.url, 1) as first, second_project as second:
            for each in (first, second):
                wait_until(partial(each.says, "is sent"))
            with beat(place, server.url, 3) as third:
                wait_until(lambda: third.says("PROJECT_ID"), what="the third says what to set")


@case("B38", "A worker with a beat in itself (-B) is refused in a line: each wrote its signs of life over the other's")
def a_worker_with_a_beat(place: Place) -> None:
    for params in ("-B", "--beat -c 1", "-EB"):
        seen = place.run("start", MODE="worker", CELERY_PARAMS=params, **WITHOUT_SERVER)
        assert seen.returncode == 1
        assert "a worker has no beat in itself" in seen.stderr
        assert "MODE=beat" in seen.stderr
        assert "Traceback" not in seen.stderr


@case("B38-params", "Words in CELERY_PARAMS that Celery does not take are told in a line")
def words_that_celery_does_not_take(place: Place) -> None:
    for params, told in (("-c many", "Invalid value for '-c'"), ("--nothing", "--nothing"), ("--detach", "background")):
        seen = place.run("start", MODE="worker", CELERY_PARAMS=params, **WITHOUT_SERVER)
        assert seen.returncode == 1
        assert told in seen.stderr
        assert "environment variable CELERY_PARAMS" in seen.stderr
        assert "Traceback" not in seen.stderr
