from __future__ import annotations

import subprocess
import sys

import pytest

from tests.serve.process import is_running

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux only")

# In a process of its own, since it ends all of its children. Its child starts one that ignores SIGTERM, and
# ends.
PARENT = """
import subprocess, sys
from opa.process import orphans

orphans.adopt_orphans()
child = '''
import subprocess, sys
stubborn = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True);"
    "time.sleep(60)"
)
process = subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE)
process.stdout.readline()
print(process.pid)
'''
pid = int(subprocess.run([sys.executable, "-c", child], stdout=subprocess.PIPE, check=True).stdout)
assert orphans.children() == [pid]
assert orphans.end_orphans(grace=0.3) == 1
assert orphans.children() == []
print(pid)
"""


def test_a_process_that_a_child_leaves_behind_is_ended() -> None:
    parent = subprocess.run([sys.executable, "-c", PARENT], capture_output=True, text=True, timeout=30, check=False)
    assert parent.returncode == 0, parent.stderr
    assert not is_running(int(parent.stdout))


REAPER = """
import os, subprocess, sys, time
from opa.process import orphans

kept = subprocess.Popen([sys.executable, "-c", ""])
other = subprocess.Popen([sys.executable, "-c", ""])
deadline = time.monotonic() + 20
while other.pid in orphans.children() and time.monotonic() < deadline:
    orphans.reap_others(kept.pid)
    time.sleep(0.01)
assert other.pid not in orphans.children()
assert kept.pid in orphans.children()
assert kept.wait() == 0
"""


def test_orphans_that_have_ended_are_reaped_and_the_child_that_is_waited_for_is_not() -> None:
    done = subprocess.run([sys.executable, "-c", REAPER], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
