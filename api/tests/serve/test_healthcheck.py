from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

import opa as package
from opa.process.health_target import note_alive, note_not_ready
from opa.process.listen import listening_socket
from tests.serve.process import Opa, free_port

SCRIPT = Path(package.__file__).with_name("healthcheck.py")


def check(**environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(SCRIPT)]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=20, check=False)


def test_the_health_check_uses_the_settings_and_not_only_the_variables(opa: Opa, tmp_path: Path) -> None:
    (opa.folder / "settings" / "mine.yaml").write_text("default:\n  HEALTH_URL: /alive\n")
    file = str(tmp_path / "health.json")
    opa.start(WEB_CONCURRENCY="1", HEALTH_FILE=file, OPA_HOST="0.0.0.0")
    opa.wait_until_ready()
    assert check(HEALTH_FILE=file).returncode == 0
    opa.stop()
    failed = check(HEALTH_FILE=file)
    assert failed.returncode == 1
    assert f"127.0.0.1:{opa.port}/alive" in failed.stdout


def test_without_the_file_it_goes_by_the_variables(opa: Opa) -> None:
    opa.start(WEB_CONCURRENCY="1", HEALTH_FILE="/there/is/none/health.json")
    opa.wait_until_ready()
    assert "cannot be written" in opa.log
    assert check(OPA_PORT=str(opa.port)).returncode == 0
    assert check(OPA_PORT=str(free_port()), OPA_OPERATING_PORT=str(opa.port)).returncode == 0
    assert check(OPA_PORT=str(opa.port), OPA_OPERATING_PORT="null").returncode == 0
    assert check(OPA_PORT=str(opa.port), OPA_HEALTH_URL="/readyz").returncode == 0
    assert check(OPA_PORT=str(opa.port), OPA_HEALTH_URL="/nothing").stdout.endswith("/nothing answers 404\n")


def test_a_server_that_accepts_and_says_nothing_is_not_healthy() -> None:
    with listening_socket("127.0.0.1", 0) as listener:
        began = time.monotonic()
        assert check(OPA_PORT=str(listener.getsockname()[1])).returncode == 1
        assert time.monotonic() - began < 60


def test_with_no_health_route_a_connection_is_enough(tmp_path: Path) -> None:
    file = tmp_path / "health.json"
    with listening_socket("127.0.0.1", 0) as listener:
        target = {"mode": "api", "host": "127.0.0.1", "port": listener.getsockname()[1], "path": None}
        file.write_text(json.dumps(target))
        assert check(HEALTH_FILE=str(file)).returncode == 0
    assert check(HEALTH_FILE=str(file)).returncode == 1


def test_a_proxy_in_the_environment_is_not_asked(opa: Opa) -> None:
    opa.start(WEB_CONCURRENCY="1")
    opa.wait_until_ready()
    nowhere = f"http://127.0.0.1:{free_port()}"
    assert check(OPA_PORT=str(opa.port), http_proxy=nowhere, HTTP_PROXY=nowhere).returncode == 0


def test_flower_is_asked_where_flower_answers() -> None:
    # What is there accepts a connection and says nothing; the reason names the path.
    with listening_socket("127.0.0.1", 0) as listener:
        port = str(listener.getsockname()[1])
        assert f"127.0.0.1:{port}/healthcheck: " in check(MODE=" Flower ", OPA_FLOWER_PORT=port).stdout


@pytest.mark.parametrize("mode", ["worker", "beat"])
def test_a_worker_or_beat_is_healthy_while_its_last_sign_of_life_is_recent(tmp_path: Path, mode: str) -> None:
    file = tmp_path / "health.json"
    file.write_text(json.dumps({"mode": mode, "until": time.time() + 60}))
    assert check(HEALTH_FILE=str(file)).returncode == 0
    file.write_text(json.dumps({"mode": mode, "until": time.time() - 1}))
    assert check(HEALTH_FILE=str(file)).stdout == f"{mode}: no sign of life for too long\n"
    file.write_text(json.dumps({"mode": mode, "until": 0, "reason": "redis: refused"}))
    assert check(HEALTH_FILE=str(file)).stdout == f"{mode}: redis: refused\n"


@pytest.mark.parametrize("mode", ["rocket"])
def test_a_mode_without_a_check_is_not_healthy(mode: str) -> None:
    assert check(MODE=mode).returncode == 1


def test_the_health_check_imports_nothing_of_the_package() -> None:
    code = "import runpy, sys; runpy.run_path(sys.argv[1]); print([m for m in sys.modules if 'opa' in m])"
    command = [sys.executable, "-c", code, str(SCRIPT)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"


def test_containers_that_share_a_folder_have_a_file_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEALTH_FILE", str(tmp_path / "health-{container}.json"))
    note_alive("worker")
    own = next(tmp_path.iterdir())
    namespace = re.sub(r"\D", "", str(Path("/proc/self/ns/mnt").readlink()))
    assert own.name == f"health-{namespace}.json"

    monkeypatch.setattr(os, "readlink", lambda _: "mnt:[42]")
    note_not_ready("beat", "it waits")

    assert json.loads(own.read_text())["mode"] == "worker"
    assert json.loads((tmp_path / "health-42.json").read_text())["mode"] == "beat"
    assert check(HEALTH_FILE=str(tmp_path / "health-{container}.json")).returncode == 0
