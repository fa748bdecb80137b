from __future__ import annotations

import importlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench import growth, log_lines, memory, openapi, profile, routes
from tests.project import Project

API = Path(__file__).parents[2]


@pytest.mark.timeout(120)
def test_it_measures_requests_to_both_applications() -> None:
    """No more than that it works: what it measures here, beside other tests, says nothing."""
    found = run("bench.compare", "--rounds", "2", "--seconds", "0.1", "--connections", "4")
    assert found["ratio of medians"] > 0


@pytest.mark.timeout(120)
def test_it_measures_the_tasks_of_both_applications() -> None:
    options = ["--rounds", "2", "--tasks", "5"]
    done = subprocess.run(
        [sys.executable, "-m", "bench.tasks", *options],
        cwd=API,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    *_, bare, stack, ratio = (line.rsplit(maxsplit=3) for line in done.stdout.splitlines())
    assert [bare[0], stack[0], ratio[0]] == ["bare Celery", "opa-stack", "ratio"]
    assert all(float(number.replace(",", "")) > 0 for number in bare[1:] + stack[1:] + ratio[1:])


def run(module: str, *options: str) -> dict[str, float]:
    """What a module says in its last lines, by the words before the number."""
    done = subprocess.run(
        [sys.executable, "-m", module, *options], cwd=API, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [re.fullmatch(r"(.*\S)\s+([\d.]+)( s)?", line) for line in done.stdout.splitlines()]
    return {line[1]: float(line[2]) for line in lines if line}


def test_it_measures_calls_of_hooks_and_reads_of_settings() -> None:
    found = run("bench.calls", "--processes", "2")
    assert found["pluggy by hook"] > 1
    assert found["hook by call"] > 1
    assert found["setting by attribute"] > 0


def test_it_measures_a_request_with_the_limits_and_without() -> None:
    found = run("bench.protocol", "--processes", "1")
    assert min(found["limited"], found["plain"], found["ratio"]) > 0


def test_it_measures_lines_of_the_log_with_and_without_the_masking() -> None:
    cost = log_lines.measure(processes=1)
    assert set(cost.more) == set(log_lines.LINES)
    assert min(cost.plain.values()) > 0


@pytest.mark.timeout(120)
def test_it_measures_routes_among_many() -> None:
    cost = routes.measure(plugins=2, routes=2, rounds=2)
    assert cost.routes == 4
    assert cost.index > 0
    assert len(cost.ratios) == 7
    assert all(min(found.values()) > 0 for found in (cost.microseconds, cost.bare, cost.ratios))


@pytest.mark.timeout(120)
def test_it_measures_a_start_with_plugins() -> None:
    found = run("bench.startup", "--plugins", "2", "--rounds", "1")
    assert found["opa-stack"] > 0
    assert found["bare FastAPI"] > 0


@pytest.mark.timeout(120)
def test_it_measures_what_more_plugins_cost() -> None:
    found = growth.measure([1, 2], routes=3, rounds=1, seconds=0.1, say=print)
    assert (found.plugins, found.routes) == ((1, 2), 3)
    assert len(found.stack) == len(found.bare) == 2
    for point in (*found.stack, *found.bare):
        assert min(point.start, point.megabytes, point.last, point.missing) > 0


@pytest.mark.timeout(120)
def test_it_tells_whose_code_runs_at_a_start_and_in_a_request() -> None:
    found = profile.measure(20, 10, 0.5)
    assert found.start["import the plugins"]["FastAPI"] > 0
    assert found.request["FastAPI"] > 0
    for bare in (found.bare_start, found.bare_request):
        assert bare["FastAPI"] > 0
        assert "opa-stack" not in bare


@pytest.mark.timeout(120)
def test_it_measures_the_memory_of_workers() -> None:
    found = memory.measure(2, 3, (1, 2), print)
    assert found.idle[1] < found.idle[2] < 2 * found.idle[1]
    assert found.busy[2] > found.busy[1]
    assert 0 < found.share < 1


FORKED = """
import os, signal
large = bytearray(os.urandom(100 * 2**20))
if os.fork():
    print("ready", flush=True)
signal.pause()
"""


def test_what_processes_share_counts_once() -> None:
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


@pytest.mark.timeout(120)
def test_it_measures_a_start_with_components() -> None:
    found = run("bench.components", "--components", "2", "--rounds", "1")
    assert found["start with 1 component"] > 1
    assert found["start with  2 components"] > 1
    assert found["ratio"] > 0


def test_both_applications_have_the_same_settings(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_BROKER", "redis://127.0.0.1/0")
    monkeypatch.setenv("BENCH_BACKEND", "redis://127.0.0.1/1")
    bare = importlib.import_module("bench.bare_tasks")
    project.component("CELERY", "celery", BROKER_URL="redis://127.0.0.1/2", BACKEND_URL="redis://127.0.0.1/3")
    stack = project.prepare().celery.conf
    assert {name: stack[name] for name in bare.SETTINGS} == bare.SETTINGS
    assert bare.TRANSPORT.items() <= stack.broker_transport_options.items()


@pytest.mark.timeout(120)
def test_it_measures_the_openapi_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openapi, "SETTLE", 0.1)
    found = openapi.measure(11, 10, 1, print)
    for asked in (found.built, found.at_once, found.changed, found.bare):
        assert min(asked.first, asked.again, asked.held, asked.idle) > 0
    assert found.bare.size > found.built.size == found.at_once.size > 0
    assert found.changed.size != found.built.size
