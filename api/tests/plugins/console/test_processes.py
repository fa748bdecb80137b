"""What runs, on the start page: real processes of the api, a worker and beat, and the last deploy."""

from __future__ import annotations

import json
import os
import re
import signal
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.serve.process import wait_until
from tests.tasks.runs_project import RunsProject

PREFIX = "opa:runs-test:"


def known(idle: RunsProject) -> list[str]:
    """The modes of the processes of which redis knows."""
    found = [idle.client.get(f"{PREFIX}process:{each}") for each in idle.client.zrange(f"{PREFIX}processes", 0, -1)]
    return sorted(json.loads(text)["mode"] for text in found if text)


def start(client: TestClient) -> str:
    answer = client.get("/opa")
    assert answer.status_code == 200, answer.text
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", answer.text))


def test_processes_are_seen_while_they_serve_and_a_deploy_with_what_changed(
    idle: RunsProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENV", "dev")
    development = {"ENV": "dev", "OPA_RELOAD": "false", "OPA_DEBUGPY": "false"}
    with TestClient(idle.tasks.project.app(), base_url="http://localhost") as client:
        worker = idle.tasks.worker(**development)
        beat = idle.tasks.start(MODE="beat", **development)
        wait_until(lambda: known(idle) == ["api", "beat", "worker"], what=lambda: beat.log + worker.log)
        shown = start(client)
        assert "the first that is known" in shown
        assert f"api {os.uname().nodename} 1" in shown
        assert f"worker {os.uname().nodename} 1" in shown

        beat.stop()
        assert known(idle) == ["api", "worker"], "one that ends says so"
        worker.stop(signal.SIGKILL)
        (lives,) = {
            idle.client.ttl(f"{PREFIX}process:{each}") <= 30 for each in idle.client.zrange(f"{PREFIX}processes", 0, -1)
        }
        assert lives, "one that was killed is gone when its key is"

    assert known(idle) == ["worker"]
    idle.tasks.project.plugin("jobs.py", "x = 1")
    idle.tasks.project.plugin("more.py", "x = 1")
    idle.tasks.settings(PROJECT_VERSION="9.8<i>")
    with TestClient(idle.tasks.project.app(), base_url="http://localhost") as client:
        wait_until(lambda: "version 9.8" in start(client))
        assert "version 9.8<i>, before 0.1.0; plugin more is new; plugin jobs changed" in start(client).replace(
            "&lt;", "<"
        ).replace("&gt;", ">")


def test_what_others_have_written_there_is_no_error_and_without_redis_this_process_is_known(
    idle: RunsProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENV", "dev")
    odd: list[Any] = ["", "x", "[]", "{}", '{"mode": 5}', "[" * 5000]
    odd.append(json.dumps({"mode": "api", "host": "<b>", "pid": 10**20, "version": "", "project": "", "since": 1e300}))
    odd.append(json.dumps({"mode": "api", "host": "h", "pid": 1, "version": "", "project": "", "since": float("nan")}))
    odd.append(json.dumps({"mode": "api", "host": "h" * 99_999, "pid": 1, "version": "", "project": "", "since": 1}))
    for number, text in enumerate(odd):
        idle.client.set(f"{PREFIX}process:{number}", text)
        idle.client.zadd(f"{PREFIX}processes", {str(number): 4e9})
        idle.client.hset(f"{PREFIX}deployed", f"mode{number}", text)
    idle.client.hset(
        f"{PREFIX}deployed", "api", "d" * 16 + '{"opa": "1", "project": "2", "plugins": {"x": {}}, "at": 1e300}'
    )
    large: dict[str, Any] = {"p" * 100_000 + str(number): {} for number in range(9)}
    for mode, plugins, at in (
        ("worker:before", {}, 1),
        ("worker", large, 2e300),
        ("beat", {"p" * 2_000_000: {}}, 3e300),
    ):
        text = json.dumps({"opa": "1", "project": "2", "plugins": plugins, "at": at})
        idle.client.hset(f"{PREFIX}deployed", mode, "d" * 16 + text)
    with TestClient(idle.tasks.project.app(), base_url="http://localhost") as client:
        wait_until(lambda: "; and 1 more" in start(client))
        shown = start(client)
        assert "Last deploy: 2e+300" in shown
        assert len(shown) < 10_000
        assert "<b>" not in client.get("/opa").text
        idle.server.stop()
        wait_until(lambda: "The others are not known, since redis does not answer" in start(client))
        assert str(os.getpid()) in start(client)


def test_nothing_is_written_where_there_is_no_console(idle: RunsProject) -> None:
    idle.tasks.settings(CONSOLE_URL=None)
    with TestClient(idle.tasks.project.app(), base_url="http://localhost") as client:
        assert client.get("/healthz").status_code == 200
    assert idle.client.keys(f"{PREFIX}process*") == idle.client.keys(f"{PREFIX}deployed") == []
