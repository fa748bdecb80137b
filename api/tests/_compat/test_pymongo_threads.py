"""What pymongo does at the end of Python can be left out."""

from __future__ import annotations

import sys

from opa._compat.pymongo_threads import MODULES, leave_idle_threads
from tests import programs

CLOSED = """
from pymongo import MongoClient
from opa._compat.pymongo_threads import leave_idle_threads
client = MongoClient("mongodb://127.0.0.1:1", serverselectiontimeoutms=1)
client.close()
leave_idle_threads()
print("told")
"""


def test_pymongo_has_what_is_left_out_at_the_end_of_python() -> None:
    import pymongo  # noqa: F401 - imported for the modules

    for name in MODULES:
        assert callable(sys.modules[name]._shutdown_resources)
    leave_idle_threads()


def test_python_ends_quietly_without_the_threads_of_a_client_that_is_closed() -> None:
    done = programs.run([sys.executable, "-c", CLOSED], check=True)
    assert (done.stdout, done.stderr) == ("told\n", "")
