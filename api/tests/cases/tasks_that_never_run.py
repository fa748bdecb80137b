"""The kind: everything starts, and a task fails each time that it is sent; only its run says so."""

from __future__ import annotations

from tests.cases.place import Place, case
from tests.cases.tasks_of_any_make import WITHOUT_SERVER


@case("P4-tasks", "opa check names each task that cannot run as it is sent")
def tasks_that_cannot_run(place: Place) -> None:
    place.plugin(
        "a.py",
        """
        from opa import Component, get_router, task

        router = get_router()

        @task(schedule=60)
        def tick(pages): ...

        @task
        def build(self): ...

        @task
        def count(redis=Component("aioredsi")): ...

        def plain(): ...

        @router.post("/plain")
        async def send() -> str:
            return (await plain.send()).id
        """,
    )
    place.write("settings/s.yaml", "default: {CELERY_BEAT_SCHEDULE: {nightly: {task: a.tikc, schedule: 60}}}")
    seen = place.run("check", **WITHOUT_SERVER)
    for problem in (
        "the schedule 'nightly' sends the task 'a.tikc', which no plugin here has",
        "the schedule 'a.tick' sends the task 'a.tick' with arguments that do not fit: missing a required argument",
        "task 'a.build' of plugin 'a' has the parameter 'self', which is passed only with bind=True",
        "task 'a.count' of plugin 'a' asks for the component 'aioredsi', which OPTIONAL_COMPONENTS does not have",
        "'plain.send()' in plugin 'a' is called, and plain",
    ):
        assert f"warning: {problem}" in seen.stderr, seen.stderr
