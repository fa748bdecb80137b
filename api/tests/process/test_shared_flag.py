"""A flag that processes share."""

from __future__ import annotations

import os

from opa.process.shared_flag import SharedFlag


def test_what_a_forked_process_sets_is_set_in_all() -> None:
    flag = SharedFlag()
    assert not flag.is_set()
    pid = os.fork()
    if pid == 0:
        flag.set()
        os._exit(0)
    os.waitpid(pid, 0)
    assert flag.is_set()
