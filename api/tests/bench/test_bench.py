from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project import Project

API = Path(__file__).parents[2]


@pytest.mark.timeout(120)
def test_it_measures_both_applications_and_writes_what_it_found(tmp_path: Path) -> None:
    """No more than that it works: what it measures here, beside other tests, says nothing."""
    file = tmp_path / "new" / "bench.json"
    options = ["--rounds", "2", "--seconds", "0.1", "--connections", "4", "--file", str(file)]
    done = subprocess.run(
        [sys.executable, "-m", "bench", *options], cwd=API, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ratio of medians (opa-stack / bare): " in done.stdout
    found = json.loads(file.read_text())
    assert [app["name"] for app in found["applications"]] == ["bare FastAPI", "opa-stack"]
    for app in found["applications"]:
        assert len(app["rounds"]) == 2
        assert app["per_second"] > 0
    bare, stack = found["applications"]
    assert found["ratio"] == pytest.approx(stack["per_second"] / bare["per_second"])
    assert found["versions"]["fastapi"]
    assert found["machine"]["python"]


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
    found = run("bench.calls", "--rounds", "3")
    assert found["pluggy by hook"] > 1
    assert found["hook by plain call"] > 1
    assert found["setting by attribute"] > 0


@pytest.mark.timeout(120)
def test_it_measures_a_start_with_components() -> None:
    found = run("bench.components", "--components", "2", "--rounds", "1")
    assert found["start with 1 component"] > 1
    assert found["start with  2 components"] > 1
    assert found["ratio"] < 2


def test_both_applications_have_the_same_settings(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_BROKER", "redis://127.0.0.1/0")
    monkeypatch.setenv("BENCH_BACKEND", "redis://127.0.0.1/1")
    bare = importlib.import_module("bench.bare_tasks")
    project.component("CELERY", "celery", BROKER_URL="redis://127.0.0.1/2", BACKEND_URL="redis://127.0.0.1/3")
    stack = project.prepare().celery.conf
    assert {name: stack[name] for name in bare.SETTINGS} == bare.SETTINGS
    assert bare.TRANSPORT.items() <= stack.broker_transport_options.items()
