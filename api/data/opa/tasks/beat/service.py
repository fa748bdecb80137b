"""The schedule: one beat at a time sends the tasks that are due, and redis knows when each was sent last."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from types import FrameType
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from amqp.exceptions import AMQPError
from celery import beat, platforms
from celery.apps.beat import Beat as CeleryBeat
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from opa._compat.celery import beat as celery_beat
from opa._util.masking.secrets import mask_text
from opa._util.printable import in_one_line
from opa.core.listeners import Listeners
from opa.core.running import running_manager
from opa.errors import ComponentUnavailableError, NotRunningError
from opa.logging.logger import log
from opa.process.health_target import HEARTBEAT, note_alive, note_not_ready
from opa.tasks.beat.keys import (
    FormerKeys,
    decoded,
    home_key,
    lock_key,
    missed_key,
    paused_key,
    ran_key,
    sent_key,
    times_in,
)
from opa.tasks.beat.lease import Lease
from opa.tasks.beat.missed import GROUP, NO_BEAT, MissedRun, MissedRuns
from opa.tasks.beat.pauses import Pause, Pauses
from opa.tasks.beat.ran import note_run
from opa.tasks.beat.redis import key_prefix, redis_client
from opa.tasks.request_ids import with_schedule

LOCK_LIFE = 30
"""Seconds that the lock outlives its holder: longer than a broker that hangs can hold up one send."""
POLL_INTERVAL = 1.0
"""Seconds between two looks at a lock that another beat holds, or two tries to reach redis or the broker."""


class AnotherProjectError(Exception):
    """A beat of another project holds the lock."""


class Scheduler(celery_beat.Scheduler):
    """Celery's scheduler with its memory in redis, and a lock there that one beat holds.

    The lock is held anew before each task is sent. The time of a run is written when the broker has confirmed it, so
    a run whose sending failed is repeated, under the same id.
    """

    app: Any
    max_interval = int(HEARTBEAT)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._is_leading: bool | None = None
        self._is_ticking = self._is_stopping = self._has_reached_broker = False
        self._trouble = self._told_of = ""
        self._paused: set[str] = set()
        self._listeners = Listeners()
        super().__init__(*args, **kwargs)
        self.max_interval = min(self.max_interval, int(HEARTBEAT))

    def setup_schedule(self) -> None:
        """Called when beat starts."""
        note_not_ready("beat", "it is starting")
        prefix = key_prefix(self.app)
        self._redis = redis_client(self.app)
        self._lock_key = f"{prefix}{lock_key(self.app.project)}"
        self._lease = Lease(self._redis, self._lock_key, LOCK_LIFE)
        self._sent_key = f"{prefix}{sent_key(self.app.project)}"
        self._home_key = f"{prefix}{home_key(self.app.project)}"
        self._ran_key = f"{prefix}{ran_key(self.app.project)}"
        self._former = FormerKeys(self._redis, prefix)
        self._pauses = Pauses(self._redis, f"{prefix}{paused_key(self.app.project)}")
        self._missed = MissedRuns(
            self._redis,
            f"{prefix}{missed_key(self.app.project)}",
            after=self.app.missed_after,
            tell=self._tell_missed,
            plugin_of=self._plugin_of,
        )
        self.install_default_entries(self.app.conf.beat_schedule)
        self.update_from_dict(self.app.conf.beat_schedule)
        for name, entry in self.schedule.items():
            if entry.task not in self.app.tasks:
                log.warning(f"the schedule '{name}' sends the task '{entry.task}', which no plugin here has")

    def tick(self, **_: Any) -> float:  # type: ignore[override]  # Celery's arguments are for its own tests
        """Send what is due; give the seconds to the next tick."""
        self._is_ticking = True
        try:
            pause = self._tick_and_report()
        finally:
            self._is_ticking = False
        if self._is_stopping:
            raise SystemExit
        return pause

    def stop(self) -> None:
        """End beat from a signal handler: at once, or, while a task is being sent, after that."""
        if self._is_stopping or not self._is_ticking:
            raise SystemExit
        self._is_stopping = True

    def close(self) -> None:
        """Called when beat ends, maybe twice."""
        if self._is_leading:
            with suppress(RedisError):  # then it runs out by itself
                self._lease.release()
            self._is_leading = False
        note_not_ready("beat", "it is stopping")
        super().close()

    def _tick_and_report(self) -> float:
        try:
            pause = self._tick()
        except RedisError as error:
            self._report(f"redis: {mask_text(str(error))}")
        except (OperationalError, AMQPError) as error:
            self._report(f"the broker: {mask_text(str(error))}")
        except AnotherProjectError as error:
            self._report(str(error))
        else:
            if self._trouble:
                log.info("beat goes on")
            self._trouble = ""
            note_alive("beat")
            return pause
        return POLL_INTERVAL

    def _report(self, trouble: str) -> None:
        if not self._trouble:
            log.warning(f"beat cannot send for now, because of {trouble}")
        self._trouble = trouble
        note_not_ready("beat", trouble)

    def _tick(self) -> float:
        if not self._has_reached_broker:
            self._reach_broker()
        if not self._lead():
            return POLL_INTERVAL
        paused = self._end_pauses()
        entries: list[Any] = list(self.schedule.values())
        running = [entry for entry in entries if entry.name not in paused]
        self._missed.tell_what_others_have_not()
        self._missed.look(((entry, entry.last_run_at.timestamp()) for entry in running), self._trouble or NO_BEAT)
        waits = [self._send_if_due(entry) for entry in running]
        now = time.time()
        waits += [pause.until - now for pause in paused.values() if pause.until is not None]
        return max(0, min([*waits, self.max_interval]))

    def _reach_broker(self) -> None:
        try:
            with self.app.connection_for_write() as connection:
                connection.ensure_connection(
                    max_retries=1, interval_start=0, timeout=self.app.conf.broker_connection_timeout
                )
        except OperationalError as error:
            self._look_without_broker(f"the broker: {mask_text(str(error))}")
            raise
        self._has_reached_broker = True

    def _look_without_broker(self, reason: str) -> None:
        """Notice what is missed, unless another beat runs the schedule, which may reach the broker."""
        with suppress(RedisError):  # told when it is back
            if self._redis.get(self._lock_key) is not None:
                return
            paused = self._pauses.all()
            times = times_in(self._redis.hgetall(self._sent_key).items())
            entries = {name: entry for name, entry in self.schedule.items() if name in times and name not in paused}
            self._missed.look(((entry, times[name]) for name, entry in entries.items()), reason)

    def _end_pauses(self) -> dict[str, Pause]:
        """The pauses that hold; of those that have ended, what was due meanwhile counts as sent."""
        found, holding = self._pauses.all(), {}
        now = time.time()
        for name, pause in found.items():
            if name not in self.schedule:
                continue
            if pause.until is None or pause.holds(now):
                holding[name] = pause
                continue
            self._go_on_after(self.schedule[name], pause.until)
            self._pauses.forget(name, pause)
        for name in holding.keys() - self._paused:
            log.info(f"schedule '{name}' {_pause_text(holding[name])}")
        for name in self._paused - holding.keys():
            log.info(f"schedule '{name}' goes on: it is sent when it is due next")
        self._paused = set(holding)
        return holding

    def _go_on_after(self, entry: Any, until: float) -> None:
        if entry.last_run_at.timestamp() >= until:
            return
        entry.last_run_at = datetime.fromtimestamp(until, tz=self.app.timezone)
        self._lease.write(self._sent_key, {entry.name: until})

    def _tell_missed(self, run: MissedRun, done: Callable[[], None]) -> None:
        self._listeners.tell(GROUP, run, done)

    def _plugin_of(self, task: str) -> str | None:
        function = self.app.functions().get(task)
        try:
            manager: Any = running_manager()
        except NotRunningError:
            return None
        found: str | None = manager.plugin_of_module(function.__module__) if function is not None else None
        return found

    def _lead(self) -> bool:
        """Whether this is the beat that sends; when it has just become so, with the times of the last runs."""
        # While beats of both kinds run, in an update, only one is to send.
        holder = "" if self._is_leading else self._former.holder(self.schedule)
        if not holder and not self._lease.hold():
            holder = self._lease.holder
            self._check_whose(holder)
        if holder:
            if self._is_leading is not False:
                log.info(
                    f"beat waits: {holder} runs the schedule; this one takes over within "
                    f"{LOCK_LIFE + POLL_INTERVAL:g} s of its end"
                )
            self._is_leading = False
            return False
        if self._lease.was_free or not self._is_leading:
            # Another beat may have sent in the meantime.
            self._remember()
            if not self._is_leading:
                log.info(f"beat runs the schedule: {self._overview()}")
            self._is_leading = True
        return True

    def _overview(self) -> str:
        """The entries, and which of them are not sent."""
        pauses = {name: pause for name, pause in self._pauses.all().items() if pause.holds() and name in self.schedule}
        self._paused = set(pauses)
        names = [f"{name} ({_pause_text(pauses[name])})" if name in pauses else name for name in self.schedule]
        disabled = self.app.disabled_schedules
        return (", ".join(names) or "it is empty") + (f"; not enabled: {', '.join(disabled)}" if disabled else "")

    def _check_whose(self, holder: str) -> None:
        """Say where who holds the lock runs nothing of our schedule: an update of all names ends it, and nothing else.

        Raises:
            AnotherProjectError: it is surely another project, and we would wait forever.
        """
        theirs = set(map(decoded, self._redis.hkeys(self._sent_key)))
        if not theirs or not self.schedule or not theirs.isdisjoint(self.schedule):
            return
        same_name = f"the same name '{self.app.project}' in this redis"
        advice = "Set PROJECT_ID, or PROJECT_NAME, to another name for one of them"
        noted = self._redis.hmget(self._home_key, "holder", "plugins")
        its_holder, its_home = (decoded(text) if text else "" for text in noted)
        if self.app.home and its_home and its_holder == holder and its_home != self.app.home:
            raise AnotherProjectError(
                f"another project: {holder} runs the schedule of {its_home} under {same_name}. {advice}"
            )
        if self._told_of != holder:
            self._told_of = holder
            log.warning(
                f"{holder} runs a schedule under {same_name}, and none of its entries is one of ours. After an update "
                f"it ends by itself; if it is of another project, this beat waits for ever. {advice}"
            )

    def _remember(self) -> None:
        found = self._redis.hgetall(self._sent_key)
        stored = times_in(found.items())
        former = self._former.times([name for name in self.schedule if name not in stored])
        if former and self._lease.write(self._sent_key, former):
            self._former.forget(former)
        stored |= former
        fresh = {}
        entry: Any
        for name, entry in self.schedule.items():
            if name in stored:
                entry.last_run_at = datetime.fromtimestamp(stored[name], tz=self.app.timezone)
            else:
                fresh[name] = entry.last_run_at.timestamp()
        if fresh:
            self._lease.write(self._sent_key, fresh)
        self._lease.write(self._home_key, {"holder": self._lease.holder, "plugins": self.app.home})
        if gone := [name for name in found if decoded(name) not in self.schedule]:
            self._redis.hdel(self._sent_key, *gone)

    def _send_if_due(self, entry: Any) -> float:
        try:
            is_due, wait = entry.is_due()
        except Exception:  # noqa: BLE001 - a schedule class of a plugin; the others go on
            is_due, wait = self.never_due(entry)
        if not is_due:
            return float(wait)
        if not self._lead():
            return POLL_INTERVAL
        if self._lease.was_free:  # another beat may have sent it since it was found to be due
            return 0.0
        pause = self._pauses.get(entry.name)
        if pause is not None and (pause.until is None or pause.until > entry.last_run_at.timestamp()):
            return 0.0  # since the beginning of this tick; the next one sees what comes of it
        task_id = self._send(entry)
        entry.last_run_at = entry.default_now()
        entry.total_run_count += 1
        self._lease.write(self._sent_key, {entry.name: entry.last_run_at.timestamp()})
        if task_id:
            with suppress(RedisError):  # only for those who look at it
                note_run(self._redis, self._ran_key, entry.name, task_id)
        return float(wait)

    def _send(self, entry: Any) -> str:
        """Send the task of an entry, and give the id of the task; nothing where it cannot be sent as it is."""
        run = copy.copy(entry)
        run_id = uuid5(NAMESPACE_OID, f"{entry.name} after {entry.last_run_at.timestamp()}")
        run.options = with_schedule({"task_id": str(run_id), **entry.options}, entry.name)
        if (limits := self.app.limits_of(entry.task)) and limits.unique:
            from opa.tasks.limits.sending import MAY_HAVE_ANOTHER_ID

            run.options[MAY_HAVE_ANOTHER_ID] = True
        try:
            sent = self.apply_async(run, advance=False)
            if sent is not None and sent.id != run.options["task_id"]:
                log.info(f"schedule '{entry.name}': task {entry.task} is not sent, {sent.id} waits or runs")
                return str(sent.id)
            log.info(f"schedule '{entry.name}': task {entry.task} is sent, id {run_id}")
            return str(run.options["task_id"])
        except beat.SchedulingError as error:
            if isinstance(error.__context__, OperationalError):
                raise error.__context__ from error
            if isinstance(error.__context__, ComponentUnavailableError):  # without redis no unique task is sent
                raise OperationalError(error.__context__.problem) from error
            log.opt(exception=error.__context__).error(f"schedule '{entry.name}': the task cannot be sent")
            return ""


def _pause_text(pause: Pause) -> str:
    until = "" if pause.until is None else f" until {_moment(pause.until)}"
    reason = f": {pause.reason}" if pause.reason else ""
    return in_one_line(f"is paused by {pause.by or 'an unknown user'} since {_moment(pause.since)}{until}{reason}")


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, tz=UTC).isoformat(sep=" ", timespec="seconds")


class Beat(CeleryBeat):
    """Celery's `beat`, whose lines go into our log, and which ends where nothing is lost by it."""

    def run(self) -> None:
        """Run the schedule until SIGTERM or SIGINT.

        Raises:
            StartError: there is no redis for it.
        """
        if self.scheduler_cls == SCHEDULER:  # type: ignore[attr-defined]  # celery-types lacks it
            redis_client(self.app)
        self.quiet = True
        super().run()

    def setup_logging(self, colorize: bool | None = None) -> None:
        """Leave the log as opa-stack has set it up."""

    def install_sync_handler(self, service: beat.Service) -> None:
        """Called before the schedule begins."""
        if not isinstance(service.scheduler, Scheduler):
            super().install_sync_handler(service)
            return
        scheduler = service.scheduler

        def stop(number: int, frame: FrameType | None) -> None:
            scheduler.stop()

        platforms.signals.update(SIGTERM=stop, SIGINT=stop)


SCHEDULER = f"{Scheduler.__module__}:{Scheduler.__name__}"
