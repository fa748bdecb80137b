from __future__ import annotations

from itertools import islice

from opa._util.pauses import growing


def test_each_pause_is_twice_as_long_until_the_longest() -> None:
    assert list(islice(growing(0.5, 3.0), 5)) == [0.5, 1.0, 2.0, 3.0, 3.0]
