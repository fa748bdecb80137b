"""The kind: a setting is Celery's, and its name or value is looked at when Celery needs it, if at all."""

from __future__ import annotations

from tests.cases.place import Place, case
from tests.cases.tasks_of_any_make import WITHOUT_SERVER


@case("B30", "A queue that RabbitMQ cannot make a quorum queue, such as one of a Broadcast, is made none")
def a_broadcast_queue(place: Place) -> None:
    place.plugin(
        "tell.py",
        """
        from kombu.common import Broadcast
        from opa import Hook

        class Queues(Hook):
            name = "driver.celery.setup"

            def run(self, celery_app):
                celery_app.conf.task_queues = [Broadcast("tell_all")]
                return celery_app
        """,
    )
    run = "print(get_instance('celery').amqp.queues['tell_all'].queue_arguments)"
    seen = place.run("shell", "-c", f"from opa import get_instance; {run}", **WITHOUT_SERVER)
    assert "x-dead-letter-exchange" in seen.stdout, seen.stderr
    assert "quorum" not in seen.stdout
    assert "reject-publish" not in seen.stdout


@case("B32", "A misspelt time zone, or another name that Celery looks up, is told before anything starts")
def a_misspelt_time_zone(place: Place) -> None:
    for mode in ("check", "start"):
        seen = place.run(mode, OPA_CELERY_TIMEZONE="Europe/Olso", MODE="beat")
        assert seen.returncode == 1
        assert (
            'CELERY_TIMEZONE: is "Europe/Olso", should be a time zone such as Europe/Oslo (environment' in seen.stderr
        )
    seen = place.run("check", OPA_CELERY_TASK_SERIALIZER="jsno", **WITHOUT_SERVER)
    assert 'CELERY_TASK_SERIALIZER: is "jsno", should be json' in seen.stderr
    place.plugin("a.py", "from opa import task\n@task(schedule='30 3 * * *')\ndef tick(): ...")
    seen = place.run("tasks", "list", OPA_CELERY_TIMEZONE="utc", OPA_CELERY_TASK_TRACK_STARTED="off", **WITHOUT_SERVER)
    assert "30 3 * * *" in seen.stdout, seen.stderr


@case("B33", "The schedule can be set, and changed, by environment variables")
def a_schedule_by_variables(place: Place) -> None:
    place.plugin(
        "a.py",
        """
        from opa import task

        @task
        def tick(pages=1): ...

        @task(schedule=600)
        def tock(): ...
        """,
    )
    place.write("settings/s.yaml", "default: {CELERY_BEAT_SCHEDULE: {nightly: {task: a.tick, schedule: 700}}}")
    entry = "OPA_CELERY_BEAT_SCHEDULE__"
    variables = {
        f"{entry}TICK__TASK": "a.tick",
        f"{entry}TICK__SCHEDULE": "60",
        f"{entry}TICK__KWARGS": '{"pages": 3}',
        f"{entry}a.tock__schedule": "61",
        f"{entry}NIGHTLY__SCHEDULE": "0 4 * * *",
    }
    listed = place.run("tasks", "list", "--json", **WITHOUT_SERVER, **variables)
    assert '"0 4 * * *, every 60 s"' in listed.stdout, listed.stdout + listed.stderr
    assert '"every 61 s"' in listed.stdout
