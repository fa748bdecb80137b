from __future__ import annotations

import signal
import subprocess
import sys

import pytest

# Ctrl-C in the midst of what takes long: the import of the module that is named.
INTERRUPTED = """
import runpy, signal, sys
class Interrupt:
    def find_spec(self, name, *_):
        if name == sys.argv[1]:
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
runpy.run_module(sys.argv[2], run_name="__main__", alter_sys=False)
"""


@pytest.mark.parametrize(("imported", "program"), [("opa.cli", "opa"), ("opa.serve.single", "opa.serve")])
def test_ctrl_c_while_it_is_imported_is_an_end_without_a_stack_trace(imported: str, program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, imported, program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")
