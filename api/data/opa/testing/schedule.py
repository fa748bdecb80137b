"""The schedule of a test: what beat would send between two moments."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from opa._util.suggestions import nearest
from opa.errors import OpaError
from opa.tasks.application import TaskApplication, application_of

if TYPE_CHECKING:
    from opa.testing.application import OpaApp
    from opa.testing.tasks import SentTask

__tracebackhide__ = True  # for pytest, which shows the line of the test

MOST = 100_000
"""Runs of an entry between two moments."""
INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True)
class DueTask:
    """A run that beat would send.

    Attributes:
        at: when, in the time zone of the schedule.
        name: of the entry.
        task: the name of what is sent.
        args: its arguments.
        kwargs: those with names.
    """

    at: datetime
    name: str
    task: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


class OpaSchedule:
    """The schedule of an application: what the fixture `opa_schedule` gives."""

    def __init__(self, opa_app: OpaApp) -> None:
        self._app = opa_app

    @property
    def names(self) -> list[str]:
        """Those of the entries that run."""
        return list(self._application().scheduled())

    def between(self, a: datetime | str, b: datetime | str) -> list[DueTask]:
        """What beat would send from `a`, included, until `b`, in order; as if it had started at `a`.

        Args:
            a: a moment, also as text: `2031-03-03 06:30`; without a time zone it is in that of the schedule.
            b: another one.

        Raises:
            OpaError: one is not a moment, `b` is before `a`, or there are too many runs.
        """
        app = self._application()
        first, last = _moment(a, app), _moment(b, app)
        if last < first:
            raise OpaError(f"between({str(a)!r}, {str(b)!r}) ends before it begins", hint="Give the earlier one first")
        due = [
            DueTask(at, name, entry["task"], tuple(entry.get("args") or ()), dict(entry.get("kwargs") or {}))
            for name, entry in app.scheduled().items()
            for at in _due(name, entry["schedule"], first, last, app)
        ]
        return sorted(due, key=lambda run: run.at)

    def send(self, name: str) -> SentTask:
        """Send the task of an entry with its arguments, as beat does.

        Raises:
            OpaError: there is no such entry.
        """
        app = self._application()
        entries = app.scheduled()
        if name not in entries:
            near = nearest(name, entries)
            known = f"Entries: {', '.join(entries) or 'none'}"
            hint = f"Did you mean '{near}'? {known}" if near else known
            raise OpaError(f"there is no schedule '{name}'", hint=hint)
        entry = entries[name]
        self._app.start()
        options = entry.get("options") or {}
        sent = app.send_task(entry["task"], entry.get("args") or (), entry.get("kwargs") or {}, **options)
        return self._app.tasks.of(sent.id)

    def _application(self) -> TaskApplication:
        return application_of(self._app.manager)


def _moment(value: datetime | str, app: TaskApplication) -> datetime:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise OpaError(
            f"{value!r} is not a moment: {error}", hint='Give a datetime, or a text such as "2031-03-03 06:30"'
        ) from None
    return moment.replace(tzinfo=app.timezone) if moment.tzinfo is None else moment


def _due(name: str, schedule: Any, first: datetime, last: datetime, app: TaskApplication) -> Iterator[datetime]:
    """When an entry is due: the schedule is asked as if it were the moment of its last run."""
    from celery.schedules import crontab, maybe_schedule

    asked: Any = copy.copy(maybe_schedule(schedule, app=app))
    # What stands at fixed times is due at the first moment too; an interval begins there.
    at = (first - INSTANT if isinstance(asked, crontab) else first).astimezone(asked.tz)
    for _ in range(MOST):
        asked.nowfun = lambda at=at: at
        # Not in local time: an hour that is skipped, or comes twice, would be counted.
        at = (at.astimezone(UTC) + asked.remaining_estimate(at)).astimezone(asked.tz)
        if at >= last:
            return
        yield at
    raise OpaError(
        f"the schedule '{name}' is due more than {MOST} times between these moments", hint="Take a shorter time"
    )
