"""The log of the process is every plugin's: what one does to logging silenced all, and `log` was not quite a logger."""

from __future__ import annotations

import json
import urllib.error
from typing import Any

from tests.cases.place import Place, case
from tests.serve.process import wait_until

NOISY = """
    import io
    import logging.config
    import sys
    from loguru import logger
    from opa import get_router, task

    def spoil():
        logging.config.dictConfig({"version": 1, "handlers": {"c": {"class": "logging.StreamHandler"}},
                                   "root": {"handlers": ["c"], "level": "INFO"}})
        logger.remove()
    spoil()
    router = get_router()

    def ready():
        spoil()

    @router.get("/boom")
    def boom():
        spoil()
        sys.stderr = io.StringIO()
        raise ValueError("boom")

    @task
    def fails():
        spoil()
        raise ValueError("boom")
"""

EAGER = """
from opa.main import start_celery
celery = start_celery()
celery.tasks["noisy.fails"].apply()
"""


def lines_of(text: str) -> list[dict[str, Any]]:
    """The lines of a log, each of which is JSON."""
    return [json.loads(line) for line in text.splitlines()]


def is_answered_with_500(place: Place, path: str) -> bool:
    """Whether the route answers so."""
    try:
        place.get(path)
    except urllib.error.HTTPError as error:
        return error.code == 500
    return False


@case("B3", "Whatever a plugin does to logging, an error is a line of the log, and all lines are JSON")
def plugin_sets_up_logging(place: Place) -> None:
    place.write("plugins/noisy.py", NOISY)
    place.start(WEB_CONCURRENCY="1", OPA_LOG_FORMAT="json")
    place.wait_until_ready()
    assert is_answered_with_500(place, "/boom")
    wait_until(lambda: "ValueError" in place.log, seconds=5)
    assert place.stop() == 0
    (line,) = [line for line in lines_of(place.log) if "exception" in line]
    assert (line["level"], line["exception"]["type"]) == ("ERROR", "ValueError")
    assert (line["extra"]["route"], line["extra"]["plugin"]) == ("/boom", "noisy")
    done = place.python(
        EAGER,
        OPA_LOG_FORMAT="json",
        OPA_OPTIONAL_COMPONENTS__CELERY__LOAD="yes",
        OPA_OPTIONAL_COMPONENTS__CELERY__OPTS__BROKER_URL="memory://",
        OPA_OPTIONAL_COMPONENTS__CELERY__OPTS__BACKEND_URL="",
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (line,) = [line for line in lines_of(done.stderr) if line["level"] == "ERROR"]
    assert line["exception"]["type"] == "ValueError"


@case("B25", "`log` can be copied, deeply too, and pickled")
def log_is_copied(place: Place) -> None:
    done = place.python(
        """
import copy, pickle, sys
from opa import log
assert copy.copy(log) is log
assert copy.deepcopy({"log": log})["log"] is log
assert pickle.loads(pickle.dumps(log)) is log
bound = log.bind(order=7)
for other in (copy.copy(bound), copy.deepcopy([bound])[0], pickle.loads(pickle.dumps(bound))):
    other.info("hello")
""",
        OPA_LOG_FORMAT="json",
    )
    assert done.returncode == 0, done.stderr.splitlines()[-1]
    assert [line["extra"] for line in lines_of(done.stderr)] == [{"order": 7}] * 3


@case("B26", "`exc_info=True` gives the exception, and a message with % its values")
def log_as_of_the_standard_library(place: Place) -> None:
    done = place.python(
        """
from opa import log
log.warning("%s of %d", "disk", 3)
try:
    {}["key"]
except KeyError:
    log.error("it failed", exc_info=True)
""",
        OPA_LOG_FORMAT="json",
    )
    first, second = lines_of(done.stderr)
    assert first["message"] == "disk of 3", first["message"]
    assert second["exception"]["type"] == "KeyError"
    assert "extra" not in second


BROKEN = "from opa import get_roter\n"


@case("P16", "In production why a process does not start is a line of JSON, and the access log has fields")
def lines_of_production(place: Place) -> None:
    place.write("plugins/broken.py", BROKEN)
    for environ, field in (
        ({}, "where"),
        ({"ENV": "prdo"}, "where"),
        ({"MODE": "rocket"}, "hint"),
        ({"OPA_LOGLEVEL": "loud"}, "mistakes"),
    ):
        done = place.run("start", OPA_LOG_FORMAT="json", **environ)
        assert done.returncode == 1
        (line,) = [line for line in lines_of(done.stderr) if line["level"] == "ERROR"]
        assert field in line.get("extra", {}), done.stderr[-500:]
        assert not done.stdout
    place.write(
        "plugins/broken.py", "from opa import get_router\nrouter = get_router()\nrouter.get('/x/{n}')(lambda n: n)\n"
    )
    place.start(WEB_CONCURRENCY="1", OPA_LOG_FORMAT="json", OPA_ACCESS_LOG="true", OPA_REQUEST_ID="true")
    place.wait_until_ready()
    place.get("/x/7")
    assert place.stop() == 0
    (line,) = [line for line in lines_of(place.log) if line["logger"] == "uvicorn.access"]
    fields = line["extra"]
    assert (fields["method"], fields["route"], fields["plugin"]) == ("GET", "/x/{n}", "broken")
    assert (fields["status"], fields["client"]) == (200, "127.0.0.1")
    assert fields["duration"] > 0
    assert fields["request_id"]


FAILING = """
    from fastapi import Request
    from opa import get_router

    router = get_router()

    @router.post("/body")
    async def body(request: Request):
        wanted = "name"
        return (await request.json())[wanted]
"""

SEND_BODIES = """
from starlette.testclient import TestClient
from opa.main import start_api
import logging

with TestClient(start_api()) as client:
    for content in ("{bad", "{}"):
        try:
            client.post("/body", content=content)
        except Exception as error:
            logging.getLogger("uvicorn.error").error("it failed", exc_info=error)
"""


@case(
    "P7", "In development an error is the frames of the plugin in full, and a line for those of libraries between them"
)
def error_in_development(place: Place) -> None:
    place.write("plugins/shop.py", FAILING)
    done = place.python(SEND_BODIES, ENV="dev", OPA_LOG_FORMAT="text", OPA_PLUGIN_BLACKLIST_RE=".*/demo_.*")
    assert done.returncode == 0, done.stderr[-2000:]
    first, second = done.stderr.split("ERROR ")[1:]
    assert len(first.splitlines()) < 20, len(first.splitlines())
    assert "(await request.json())[wanted]" in first
    assert "JSONDecodeError" in first
    assert "└ 'name'" in second
    assert "frames of " in second
    assert "KeyError: 'name'" in second
