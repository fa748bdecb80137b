from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.docker.engine import docker as run_docker
from tests.leftovers import RUN, end_leftovers
from tests.serve.process import is_running, wait_until

TESTS = Path(__file__).parent


@pytest.mark.parametrize(("number", "processes"), [(signal.SIGTERM, "2"), (signal.SIGINT, "0")])
def test_a_run_that_is_interrupted_leaves_no_process_behind(tmp_path: Path, number: int, processes: str) -> None:
    test = tmp_path / "test_it.py"
    test.write_text(
        textwrap.dedent(
            f"""
            import pathlib, subprocess, time

            def test_that_starts_a_server():
                server = subprocess.Popen(["sleep", "600"], start_new_session=True)
                file = pathlib.Path({str(tmp_path)!r}) / "pid"
                file.with_suffix(".new").write_text(str(server.pid))
                file.with_suffix(".new").rename(file)
                time.sleep(600)
            """
        )
    )
    environ = {name: value for name, value in os.environ.items() if name != RUN and not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", str(test), "-c", str(TESTS.parent / "pyproject.toml"), "-n", processes]
    with (tmp_path / "log").open("w") as log:
        run = subprocess.Popen(
            [*command, "-p", "tests.conftest", "-p", "no:cacheprovider"],
            cwd=TESTS.parent,
            env=environ,
            stdout=log,
            stderr=log,
        )
    try:
        wait_until((tmp_path / "pid").exists, what="the test runs")
        server = int((tmp_path / "pid").read_text())
        run.send_signal(number)
        run.wait(240)
        assert not is_running(server), (tmp_path / "log").read_text()
    finally:
        run.kill()


def test_networks_and_volumes_of_a_run_are_removed(docker: None) -> None:
    run = f"{os.getpid()}x"
    name = f"opa-test-{run}-1-left"
    run_docker("network", "create", name)
    run_docker("volume", "create", name)

    end_leftovers(run)

    assert name not in run_docker("network", "ls")
    assert name not in run_docker("volume", "ls")
