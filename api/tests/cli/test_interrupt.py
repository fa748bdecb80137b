from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.project import Project

# Ctrl-C in the midst of what takes long: the import of the module that is named.
INTERRUPTED = """
import runpy, signal, sys
name, program, *arguments = sys.argv[1:]
sys.argv = [program, *arguments]
class Interrupt:
    def find_spec(self, imported, *_):
        if imported == name:
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
runpy.run_module(program, run_name="__main__", alter_sys=False)
"""


@pytest.mark.parametrize(
    ("imported", "program"),
    [("opa.cli", ["opa"]), ("opa.serve.single", ["opa.serve"]), ("opa.serve.gunicorn", ["opa", "start"])],
)
def test_ctrl_c_before_anything_is_served_is_an_end_without_a_stack_trace(
    project: Project, imported: str, program: list[str]
) -> None:
    command = [sys.executable, "-c", INTERRUPTED, imported, *program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")
