"""The plugins are imported before the workers are forked, or by each of them."""

from __future__ import annotations

import os
import re
import signal

import pytest

from tests.serve.process import Opa, own_memory, wait_until

LARGE = """
import gc
import os

from opa import get_router

router = get_router()
importer = os.getpid()
things = [[str(number)] for number in range(300_000)]


@router.get("/importer")
async def who():
    return {"mine": os.getpid(), "importer": importer}


@router.get("/collect")
async def collect():
    gc.collect()
    return os.getpid()
"""
CONNECTING = """
import os

from opa import Driver, get_instance, get_router

router = get_router()
importer = os.getpid()


class Line(Driver):
    name = "line"

    def connect(self):
        self.instance = os.getpid()


@router.get("/connected")
async def connected():
    return {"mine": os.getpid(), "importer": importer, "connected": get_instance("line")}
"""
MEMORY_OF_THINGS = 40
"""Megabytes, and some more: the rest of a worker's memory is less than 20."""


def own_memory_of_workers(opa: Opa) -> list[float]:
    """After each has looked for garbage."""
    workers = set(wait_until(lambda: len(opa.children()) == 2 and opa.children()))
    seen: set[int] = set()

    def all_have_answered() -> bool:
        seen.add(opa.get("/collect"))
        return seen >= workers

    wait_until(all_have_answered, what="both workers have answered")
    return [own_memory(pid) for pid in workers]


def test_workers_share_the_memory_of_the_plugins(opa: Opa) -> None:
    opa.plugin("large.py", LARGE)
    opa.start(WEB_CONCURRENCY="2")
    opa.wait_until_ready()
    assert max(own_memory_of_workers(opa)) < MEMORY_OF_THINGS
    assert opa.stop() == 0


def test_without_preload_each_worker_has_a_memory_of_its_own(opa: Opa) -> None:
    opa.plugin("large.py", LARGE)
    opa.start(WEB_CONCURRENCY="2", OPA_PRELOAD="false")
    opa.wait_until_ready()
    assert min(own_memory_of_workers(opa)) > MEMORY_OF_THINGS
    assert opa.stop() == 0


@pytest.mark.parametrize("preload", ["true", "false"])
def test_the_setting_says_who_imports_the_plugins(opa: Opa, preload: str) -> None:
    opa.plugin("large.py", LARGE)
    opa.start(WEB_CONCURRENCY="1", OPA_PRELOAD=preload)
    opa.wait_until_ready()
    found = opa.get("/importer")
    assert opa.process is not None
    assert found["importer"] == (opa.process.pid if preload == "true" else found["mine"])
    assert opa.stop() == 0


def test_components_connect_in_the_worker_and_not_where_the_plugins_are_imported(opa: Opa) -> None:
    opa.plugin("connecting.py", CONNECTING)
    opa.start(WEB_CONCURRENCY="1", OPA_OPTIONAL_COMPONENTS__LINE__DRIVER="line")
    opa.wait_until_ready()
    found = opa.get("/connected")
    assert found["connected"] == found["mine"] != found["importer"]
    assert opa.stop() == 0


def test_without_preload_renewed_workers_have_new_code(opa: Opa) -> None:
    opa.hello("old")
    opa.start(WEB_CONCURRENCY="1", OPA_PRELOAD="false")
    opa.wait_until_ready()
    opa.hello("new")
    assert opa.process is not None
    os.kill(opa.process.pid, signal.SIGHUP)
    wait_until(lambda: opa.answers("/hello", "new"))
    assert opa.stop() == 0


def test_without_preload_a_plugin_that_does_not_import_is_one_line_too(opa: Opa) -> None:
    opa.plugin("broken.py", "import nothing_of_that_name\n")
    assert opa.run_to_end(WEB_CONCURRENCY="2", OPA_PRELOAD="false") == 1
    assert len(re.findall(r"^error: .*broken", opa.log, re.MULTILINE)) == 1
    assert "Traceback" not in opa.log
