from __future__ import annotations

import pytest

from tests.serve.process import wait_until


def test_wait_until_reads_its_explanation_after_it_has_failed() -> None:
    log: list[str] = []
    with pytest.raises(AssertionError, match="begun, ended"):
        wait_until(lambda: log.extend(("begun", "ended")), seconds=-1, what=lambda: ", ".join(log))
