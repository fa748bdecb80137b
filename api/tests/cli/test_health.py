"""`opa health`: what the operator is told, and strangers are not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests import programs
from tests.project import Project
from tests.serve.process import free_port, opa_in

DRIVER = """
    from opa import Driver


    class Fake(Driver):
        name = "fake"

        def connect(self):
            if "refused" in self.opts.get("URL", ""):
                raise ConnectionError("refused by fake://user:hunter2@there")
            self.instance = object()
"""


def health(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return programs.run([sys.executable, "-m", "opa.cli", "health", *arguments], env={**os.environ, **variables})


def found(**variables: str) -> dict[str, Any]:
    done = health("--json", **variables)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer | {"status": done.returncode}


def test_opa_health_shows_the_reasons_that_readyz_hides(tmp_path: Path) -> None:
    with opa_in(tmp_path) as opa:
        opa.plugin("fake.py", DRIVER)
        opa.environ |= {
            "OPA_OPTIONAL_COMPONENTS__HERE__DRIVER": "fake",
            "OPA_OPTIONAL_COMPONENTS__GONE__DRIVER": "fake",
            "OPA_OPTIONAL_COMPONENTS__GONE__OPTS__URL": "fake://no-such-host.invalid",
        }
        opa.start(WEB_CONCURRENCY="1")
        opa.wait_until_ready()
        told = found(**opa.environ)
        assert (told["status"], told["mode"], told["ready"]) == (0, "api", True)
        components = {each.pop("name"): each for each in told["components"]}
        assert components["here"] == {"status": "connected", "in_process": "connected", "reason": ""}
        assert components["gone"] == {
            "status": "not loaded",
            "in_process": "not loaded",
            "reason": "host 'no-such-host.invalid' does not resolve, LOAD is auto",
        }
        table = health(**opa.environ)
        assert table.returncode == 0
        assert table.stdout.splitlines()[0] == "api: ready"
        opa.stop()
    done = health(**opa.environ)
    assert done.returncode == 1
    assert done.stdout.startswith(f"api: 127.0.0.1:{opa.port}/readyz: ")


def test_a_component_that_cannot_be_connected_from_here_is_reported_without_its_password(project: Project) -> None:
    project.plugin("fake.py", DRIVER)
    project.component("THING", "fake", URL="fake://localhost/refused")
    done = health("--json", OPA_PORT=str(free_port()))
    assert done.returncode == 1
    (thing,) = [each for each in json.loads(done.stdout)["components"] if each["name"] == "thing"]
    assert (thing["status"], thing["in_process"]) == ("failed", "")
    assert thing["reason"] == "refused by fake://user:***@there"
    assert "hunter2" not in done.stdout + done.stderr


def test_a_broken_plugin_that_is_skipped_is_reported(project: Project) -> None:
    project.plugin("broken.py", "import nowhere_to_be_found")
    project.settings(PLUGIN_FAILURE="skip")
    (plugin,) = found(OPA_PORT=str(free_port()))["plugins"]
    assert plugin["name"] == "broken"
    assert "No module named 'nowhere_to_be_found'" in plugin["reason"]


def test_a_worker_is_known_by_its_sign_of_life(project: Project, tmp_path: Path) -> None:
    file = tmp_path / "health.json"
    file.write_text(json.dumps({"mode": "worker", "until": 0, "reason": "it has lost the broker"}))
    told = found(MODE="worker", HEALTH_FILE=str(file))
    assert (told["status"], told["reason"]) == (1, "worker: it has lost the broker")
    file.write_text(json.dumps({"mode": "worker", "until": 2**40}))
    assert found(MODE="worker", HEALTH_FILE=str(file))["status"] == 0


def test_the_plugins_that_are_loaded_are_counted(project: Project) -> None:
    project.plugin("one.py")
    assert found(OPA_PORT=str(free_port()))["plugins_loaded"] == 1
    assert "plugins loaded: 1" in health(OPA_PORT=str(free_port())).stdout
