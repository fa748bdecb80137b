"""What the measurements are made of, and what each module prints; `make bench-quick` shows that they measure."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

from bench import calls, compare, components, events, memory, protocol, servers, small, startup, suite, tasks
from bench.calls import STATEMENTS, CallCost
from bench.compare import Comparison, Rounds
from bench.components import ComponentStart
from bench.events import EmitCost
from bench.load import Load
from bench.protocol import RequestCost
from bench.small import Small
from bench.startup import Startup
from bench.suite import Suites
from bench.tasks import Speed
from opa.tasks.application import application_of
from tests.project import Project

RATIOS = {"bare": [Speed(0.1, 0.3)], "stack": [Speed(0.2, 0.3)], "runs": [Speed(0.2, 0.3)]}
SLOW = {"bare": [Speed(0.1, 0.2)], "stack": [Speed(0.1, 0.4)], "runs": [Speed(0.1, 0.4)]}

ROUNDS = (Load(1000, 5000.0, 1.5, 2.5), Load(1000, 6000.0, 1.5, 2.5))


@pytest.mark.parametrize(
    ("module", "name", "found", "last"),
    [
        (
            compare,
            "compare",
            Comparison(Rounds(servers.BARE, ROUNDS), Rounds(servers.STACK, ROUNDS)),
            "median ratio 1.000",
        ),
        (calls, "measure", CallCost(dict.fromkeys(STATEMENTS, 65.0), 5.5, 3.5, 2.5), "attribute 2.50"),
        (protocol, "measure", RequestCost(30.0, 20.0, 1.5), "ratio 1.500"),
        (small, "measure", Small(0.4, 0.3, 1.25, 55.0, 50.0), "1.10 ×"),
        (startup, "measure", Startup(10, 2, 3.0, 2.0, 1.5), "ratio 1.50"),
        (components, "measure", ComponentStart(8, 1.5, 1.8, 1.2), "ratio 1.20"),
        (suite, "measure", Suites(100, 6.5, 0.5), "an application 60.0 ms"),
        (events, "measure", EmitCost(190.0, 200.0, 0.95, 200.0, 210.0, 0.96), "ratio 0.950"),
        (tasks, "measure", RATIOS, "runs/bare 0.500 1.000 0.800"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, ModuleType) else "",
)
def test_a_module_prints_what_it_found_and_the_ratio_last(
    module: ModuleType,
    name: str,
    found: object,
    last: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(module, name, lambda *_: found)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    run: Any = module
    run.main()
    assert " ".join(capsys.readouterr().out.splitlines()[-1].split()).endswith(last)


def test_tasks_that_are_slower_than_was_asked_for_are_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tasks, "measure", lambda *_: SLOW)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    with pytest.raises(SystemExit, match="1"):
        tasks.main(at_least=0.9)
    assert capsys.readouterr().out.endswith("that is less than 0.9\n")


FORKED = """
import os, signal
large = bytearray(os.urandom(100 * 2**20))
if os.fork():
    print("ready", flush=True)
signal.pause()
"""


def test_memory_that_processes_share_counts_once() -> None:
    parent = subprocess.Popen([sys.executable, "-c", FORKED], stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert parent.stdout
        parent.stdout.readline()
        assert len(memory.children_of(parent.pid)) == 1
        assert 100 < memory.megabytes(parent.pid) < 150
    finally:
        os.killpg(parent.pid, signal.SIGKILL)
        parent.communicate()


def test_each_further_worker_adds_a_share_of_what_the_first_takes() -> None:
    assert memory.share_of_further({1: 100.0, 3: 120.0}) == pytest.approx(0.1)


def test_both_applications_have_the_same_settings(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_BROKER", "redis://127.0.0.1/0")
    monkeypatch.setenv("BENCH_BACKEND", "redis://127.0.0.1/1")
    bare = importlib.import_module("bench.bare_tasks")
    project.component("CELERY", "celery", BROKER_URL="redis://127.0.0.1/2", BACKEND_URL="redis://127.0.0.1/3")
    stack = application_of(project.prepare()).conf
    assert {name: stack[name] for name in bare.SETTINGS} == bare.SETTINGS
    assert bare.TRANSPORT.items() <= stack.broker_transport_options.items()
