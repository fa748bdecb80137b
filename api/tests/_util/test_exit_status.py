from __future__ import annotations

import pytest

from opa._util.exit_status import how_it_ended


@pytest.mark.parametrize(
    ("status", "how"), [(0, "exit status 0"), (3, "exit status 3"), (-9, "signal SIGKILL"), (-40, "signal 40")]
)
def test_the_end_of_a_process_is_reported_in_words_also_by_a_signal_without_a_name(status: int, how: str) -> None:
    assert how_it_ended(status) == how
