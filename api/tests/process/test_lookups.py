from __future__ import annotations

import os
import time

import pytest

from opa.process import lookups
from opa.process.lookups import look_up


def test_hosts_that_resolve_are_found() -> None:
    looking = look_up(["localhost", "nothing.invalid"], 5)
    assert looking is not None
    assert looking.found(10) == {"localhost"}


def test_all_hosts_may_be_there_while_it_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookups, "resolves", lambda *_: time.sleep(60))
    looking = look_up(["localhost", "nothing.invalid"], 60)
    assert looking is not None
    assert looking.found(0.1) == {"localhost", "nothing.invalid"}
    with pytest.raises(ChildProcessError):
        os.waitpid(looking.process, os.WNOHANG)


def test_no_process_looks_for_no_host() -> None:
    assert look_up([], 5) is None
