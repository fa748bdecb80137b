from __future__ import annotations

import os

from opa.process.start_failures import StartFailures


def test_the_master_reads_what_the_first_worker_said() -> None:
    failures = StartFailures()
    pid = os.fork()
    if not pid:
        failures.note("component 'redis' did not connect")
        failures.note("and this came later")
        os._exit(0)
    os.waitpid(pid, 0)
    assert failures.first() == "component 'redis' did not connect"


def test_a_start_without_a_failure_has_no_first_one() -> None:
    assert StartFailures().first() is None


def test_unread_failures_do_not_block_a_worker() -> None:
    failures = StartFailures()
    for _ in range(100):
        failures.note("x" * 5000)
    assert str(failures.first()).startswith("xxx")
