"""The kind: what Celery's guide, or Python, has for tasks is overlooked.

A task may have a class of its own or of Celery's, be a shared one, or stand behind a decorator.
"""

from __future__ import annotations

from tests.cases.place import Place, case

WITHOUT_SERVER = {
    "OPA_OPTIONAL_COMPONENTS__CELERY__LOAD": "yes",
    "OPA_OPTIONAL_COMPONENTS__CELERY__OPTS__BROKER_URL": "memory://",
    "OPA_OPTIONAL_COMPONENTS__CELERY__OPTS__BACKEND_URL": "cache+memory://",
    "OPA_CELERY_TASK_ALWAYS_EAGER": "true",
}
"""The component `celery` as in a test of a user's: tasks that are sent run here and now."""


@case("B2", "Tasks with a base class of Celery's, and tasks that are classes, run as others do")
def tasks_that_are_classes(place: Place) -> None:
    place.plugin(
        "a.py",
        """
        from celery import Task, shared_task
        from opa import get_instance, task

        celery = get_instance("celery")

        class DatabaseTask(Task):
            abstract = True
            _db = None

        @task(base=DatabaseTask, bind=True)
        def add(self, a, b):
            return a + b

        class Import(Task):
            name = "a.import"

            def run(self, x):
                return x

        class Export(Task):
            name = "a.export"

            async def run(self, x):
                return x

        imp = celery.register_task(Import())
        celery.tasks.register(Export())

        @shared_task
        async def shared(x):
            return x
        """,
    )
    checked = place.run("check", **WITHOUT_SERVER)
    assert checked.stdout.startswith("ok"), checked.stderr
    listed = place.run("tasks", "list", **WITHOUT_SERVER).stdout
    assert not [name for name in ("a.add", "a.import", "a.export", "a.shared") if name not in listed], listed
    sent = (
        'import a; print([a.add.delay(1, 2).get(), a.imp.delay(3).get(), a.celery.tasks["a.export"].delay(4).get(),'
        " a.shared.delay(5).get(), (await a.add.send(3, 3)).celery.get()])"
    )
    seen = place.run("shell", "-c", sent, **WITHOUT_SERVER)
    assert "[3, 3, 4, 5, 6]" in seen.stdout, seen.stdout + seen.stderr


@case("B29", "A task that is a decorated async def runs to its end")
def a_decorated_coroutine(place: Place) -> None:
    place.plugin(
        "a.py",
        """
        import functools
        from opa import Hook, HookDefinition, task

        def timed(f):
            @functools.wraps(f)
            def inner(*args, **kwargs):
                return f(*args, **kwargs)
            return inner

        @task
        @timed
        async def double(x: int) -> int:
            return x * 2

        class PriceDefinition(HookDefinition):
            name = "price"
            is_async = True

        class Price(Hook):
            name = "price"

            @timed
            async def run(self, x):
                return x * 3
        """,
    )
    run = "import a, opa; print([a.double.apply(args=[2]).result, await opa.call_hook_async('price', 3)])"
    seen = place.run("shell", "-c", run)
    assert "[4, 9]" in seen.stdout, seen.stdout + seen.stderr


@case("B29-generator", "A task that yields, whose body nobody would run, is refused with its place")
def a_generator(place: Place) -> None:
    for start in ("def", "async def"):
        place.plugin("a.py", f"from opa import task\n\n@task\n{start} pages(book: str):\n    yield book\n")
        seen = place.run("check")
        assert seen.returncode == 1, seen.stdout
        assert "the function 'pages' of a task is a generator" in seen.stderr
        assert "a.py:3" in seen.stderr
