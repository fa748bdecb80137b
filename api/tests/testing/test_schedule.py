from __future__ import annotations

from tests.testing.suite import Suite

TESTS = """
    from datetime import UTC, datetime

    import pytest

    import opa


    def times(due):
        return [(run.at.isoformat(), run.name) for run in due]


    def test_fixed_times_include_the_first_moment_and_not_the_last(opa_schedule):
        due = opa_schedule.between("2031-03-03 06:30", "2031-03-05 06:30")
        assert [each for each in times(due) if each[1] == "clock.morning"] == [
            ("2031-03-03T06:30:00+00:00", "clock.morning"), ("2031-03-04T06:30:00+00:00", "clock.morning")
        ]


    def test_intervals_begin_at_the_first_moment(opa_schedule):
        due = opa_schedule.between(datetime(2031, 3, 3, 7, tzinfo=UTC), datetime(2031, 3, 3, 10, tzinfo=UTC))
        assert times(due) == [
            ("2031-03-03T08:15:00+00:00", "clock.often"), ("2031-03-03T09:30:00+00:00", "clock.often")
        ]


    @pytest.mark.opa(settings={"CELERY_TIMEZONE": "Europe/Oslo"})
    def test_moments_are_in_the_time_zone_of_the_schedule(opa_schedule):
        due = opa_schedule.between("2031-03-29 00:00", "2031-04-01 00:00")  # the clocks change on the 30th
        assert [run.at.isoformat() for run in due if run.name == "clock.morning"] == [
            "2031-03-29T06:30:00+01:00", "2031-03-30T06:30:00+02:00", "2031-03-31T06:30:00+02:00",
        ]


    @pytest.mark.opa(settings={"CELERY_BEAT_SCHEDULE": {
        "clock.often": {"enabled": False},
        "late": {"task": "clock.morning", "schedule": "0 23 * * *", "kwargs": {"n": 2}},
    }})
    def test_the_settings_count(opa_schedule, opa_tasks):
        assert sorted(opa_schedule.names) == ["clock.morning", "late"]
        (due,) = opa_schedule.between("2031-03-03 12:00", "2031-03-04 00:00")
        assert (due.task, due.kwargs) == ("clock.morning", {"n": 2})
        opa_schedule.send("late")
        opa_tasks.assert_sent("clock.morning", n=2)
        assert opa_tasks.run()[0].result == 2


    def test_the_end_before_the_beginning(opa_schedule):
        with pytest.raises(opa.OpaError, match="ends before it begins"):
            opa_schedule.between("2031-03-04", "2031-03-03")


    def test_too_many(opa_schedule):
        with pytest.raises(opa.OpaError, match="more than 100000 times"):
            opa_schedule.between("2031-03-04", "2931-03-03")
"""


def test_the_schedule_is_known_without_waiting(suite: Suite) -> None:
    suite.write(
        "plugins/clock.py",
        """
        from opa import task

        @task(schedule="30 6 * * *")
        def morning(n: int = 1) -> int:
            return n

        @task(schedule=75 * 60)
        def often() -> None: ...
        """,
    )
    suite.write("tests/test_clock.py", TESTS)
    outcomes = suite.run("-W", "error").outcomes
    assert len(outcomes) == 6
    assert set(outcomes.values()) == {"PASSED"}
