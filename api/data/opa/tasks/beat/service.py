"""The schedule: one beat at a time sends the tasks that are due, and redis knows when each was sent last."""

from __future__ import annotations

import copy
from contextlib import suppress
from datetime import datetime
from types import FrameType
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from amqp.exceptions import AMQPError
from celery import beat, platforms
from celery.apps.beat import Beat as CeleryBeat
from celery.backends.redis import RedisBackend
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from opa._compat.celery import beat as celery_beat
from opa._util.masking.secrets import mask_text
from opa.errors import StartError
from opa.logging.logger import log
from opa.process.health_target import HEARTBEAT, note_alive, note_not_ready
from opa.tasks.beat.keys import FormerKeys, decoded, home_key, lock_key, sent_key, times_in
from opa.tasks.beat.lease import Lease

LOCK_LIFE = 30
"""Seconds that the lock outlives its holder: longer than a broker that hangs can hold up one send."""
POLL_INTERVAL = 1.0
"""Seconds between two looks at a lock that another beat holds, or two tries to reach redis or the broker."""


def redis_client(app: Any) -> Any:
    """The redis that holds the results, which the beats share.

    Raises:
        StartError: the results are not in redis, or nowhere.
    """
    if isinstance(app.backend, RedisBackend):
        return app.backend.client
    raise StartError(
        "MODE=beat needs a redis, for the lock and the times of the last runs, and BACKEND_URL of the component with "
        "the driver 'celery' names none",
        where="setting OPTIONAL_COMPONENTS.CELERY.OPTS.BACKEND_URL",
        hint="Set it to the URL of a redis, such as redis://redis/1",
    )


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
        super().__init__(*args, **kwargs)
        self.max_interval = min(self.max_interval, int(HEARTBEAT))

    def setup_schedule(self) -> None:
        """Called when beat starts."""
        note_not_ready("beat", "it is starting")
        # As for results, several applications can share one redis.
        prefix = self.app.conf.result_backend_transport_options.get("global_keyprefix", "")
        self._redis = redis_client(self.app)
        self._lease = Lease(self._redis, f"{prefix}{lock_key(self.app.project)}", LOCK_LIFE)
        self._sent_key = f"{prefix}{sent_key(self.app.project)}"
        self._home_key = f"{prefix}{home_key(self.app.project)}"
        self._former = FormerKeys(self._redis, prefix)
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
            with self.app.connection_for_write() as connection:
                connection.ensure_connection(
                    max_retries=1, interval_start=0, timeout=self.app.conf.broker_connection_timeout
                )
            self._has_reached_broker = True
        if not self._lead():
            return POLL_INTERVAL
        pauses = [self._send_if_due(entry) for entry in list(self.schedule.values())]
        return max(0, min([*pauses, self.max_interval]))

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
                log.info(f"beat runs the schedule: {', '.join(self.schedule) or 'it is empty'}")
            self._is_leading = True
        return True

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
            is_due, pause = entry.is_due()
        except Exception:  # noqa: BLE001 - a schedule class of a plugin; the others go on
            is_due, pause = self.never_due(entry)
        if not is_due:
            return float(pause)
        if not self._lead():
            return POLL_INTERVAL
        if self._lease.was_free:  # another beat may have sent it since it was found to be due
            return 0.0
        self._send(entry)
        entry.last_run_at = entry.default_now()
        entry.total_run_count += 1
        self._lease.write(self._sent_key, {entry.name: entry.last_run_at.timestamp()})
        return float(pause)

    def _send(self, entry: Any) -> None:
        run = copy.copy(entry)
        run_id = uuid5(NAMESPACE_OID, f"{entry.name} after {entry.last_run_at.timestamp()}")
        run.options = {"task_id": str(run_id), **entry.options}
        try:
            self.apply_async(run, advance=False)
            log.info(f"schedule '{entry.name}': task {entry.task} is sent, id {run_id}")
        except beat.SchedulingError as error:
            if isinstance(error.__context__, OperationalError):
                raise error.__context__ from error
            log.opt(exception=error.__context__).error(f"schedule '{entry.name}': the task cannot be sent")


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
