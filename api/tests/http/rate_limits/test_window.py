"""The sliding window, counted in memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from opa._util.rates import Rate
from opa.http.rate_limits.window import ENTRIES_OF_CALLER, SLOTS, Demand, LocalCounts

MINUTE = Rate(100, 60)


def passes(counts: LocalCounts, now: float, rate: Rate = MINUTE, key: bytes = b"anna") -> bool:
    return counts.take([Demand(key, rate)], now).passes


def test_as_many_pass_as_the_limit_says() -> None:
    counts = LocalCounts()
    assert sum(passes(counts, 1000 + number / 10) for number in range(200)) == 100


def test_a_burst_at_the_end_of_a_minute_leaves_nothing_for_the_next() -> None:
    counts = LocalCounts()
    assert sum(passes(counts, 1059.9) for _ in range(150)) == 100
    assert not any(passes(counts, now) for now in (1060.1, 1090, 1119.8))
    assert sum(passes(counts, 1120) for _ in range(150)) == 100


def test_a_refused_request_does_not_count() -> None:
    counts = LocalCounts()
    assert sum(passes(counts, 1000) for _ in range(100)) == 100
    assert not any(passes(counts, 1000 + second) for second in range(60))
    assert passes(counts, 1060.1)


def test_each_key_counts_by_itself() -> None:
    counts = LocalCounts()
    assert all(passes(counts, 1000, key=b"%d" % number) for number in range(200))


@given(
    st.lists(st.floats(0, 0.3), max_size=300),
    st.integers(1, 10),
    st.integers(1, 3),
)
def test_never_more_than_the_limit_pass_in_any_window(pauses: list[float], amount: int, seconds: int) -> None:
    counts, rate, now = LocalCounts(), Rate(amount, seconds), 1_000.0
    passed: list[float] = []
    for pause in pauses:
        now += pause
        in_window = [moment for moment in passed if moment > now - seconds]
        surely = [moment for moment in passed if moment > now - seconds * (1 + 2 / SLOTS)]
        if passes(counts, now, rate):
            passed.append(now)
            assert len(in_window) < amount
        else:
            assert len(surely) >= amount  # what is free is given within a slot


def test_of_several_limits_a_refused_request_counts_for_none() -> None:
    counts = LocalCounts()
    demands = [Demand(b"second", Rate(5, 1)), Demand(b"minute", Rate(20, 60))]
    assert sum(counts.take(demands, 1000).passes for _ in range(50)) == 5
    assert sum(counts.take(demands, 1002).passes for _ in range(50)) == 5
    outcome = counts.take(demands, 1002)
    assert not outcome.passes
    assert [state.remaining for state in outcome.states] == [0, 10]


def test_a_count_tells_how_many_are_left_and_until_when() -> None:
    counts = LocalCounts()
    first = counts.take([Demand(b"anna", Rate(2, 60))], 1000).states[0]
    assert (first.remaining, round(first.seconds)) == (1, 60)
    second = counts.take([Demand(b"anna", Rate(2, 60))], 1030).states[0]
    assert (second.remaining, round(second.seconds)) == (0, 30)
    refused = counts.take([Demand(b"anna", Rate(2, 60))], 1040)
    assert not refused.passes
    assert counts.take([Demand(b"anna", Rate(2, 60))], 1040 + refused.states[0].seconds).passes


def test_large_limits_take_no_more_than_a_thousand_entries() -> None:
    counts = LocalCounts()
    rate = Rate(1_000_000, 60)
    for number in range(6_000):
        assert passes(counts, 1000 + number / 50, rate)
    assert counts._entries <= SLOTS + 2 + ENTRIES_OF_CALLER


def test_memory_is_bounded_whatever_the_number_of_addresses() -> None:
    counts = LocalCounts(max_entries=3_000)
    for number in range(20_000):
        counts.take([Demand(b"address:%d" % number, MINUTE)], 1000 + number / 1e6)
    assert len(counts._windows) <= 3_000 / ENTRIES_OF_CALLER


def test_the_key_that_was_not_used_for_the_longest_time_is_forgotten_first() -> None:
    counts = LocalCounts(max_entries=10_000)
    assert passes(counts, 1000, Rate(1, 3600), b"first")
    assert passes(counts, 1000, Rate(1, 3600), b"often")
    for number in range(1000):
        counts.take([Demand(b"%d" % number, MINUTE)], 1001)
        assert not passes(counts, 1001, Rate(1, 3600), b"often")
    assert passes(counts, 1002, Rate(1, 3600), b"first")


def test_a_key_that_is_not_used_again_is_forgotten_after_its_window() -> None:
    counts = LocalCounts()
    for number in range(1000):
        passes(counts, 1000, key=b"%d" % number)
    for number in range(1000):
        passes(counts, 1100, key=b"new %d" % number)
    assert len(counts._windows) == 1000
