"""The application that tasks belong to, before any worker."""

from __future__ import annotations

import pytest
from celery.app import app_or_default
from celery.result import AsyncResult

from opa.errors import OpaError
from opa.tasks.application import application_of
from opa.tasks.task import Task
from tests.project import Project
from tests.tasks.workers import TaskProject

CALLED_EARLY = """
from opa import task


@task(acks_late=False)
def early():
    return 1


signature = early.s()
name = early.name
"""

SKIPPED = """
from celery import Task, shared_task
from opa import Hook, get_instance, task


@task(bind=True, schedule=60)
def later(self): ...


@task(bind=True)
def early(self): ...


name = early.name


@shared_task
def shared(): ...


class Registered(Task):
    name = "bad.registered"

    def run(self): ...


get_instance("celery").tasks.register(Registered())


class Stray(Hook):
    def run(self): ...
"""


def test_a_task_that_is_used_while_it_is_imported_has_the_settings_all_the_same(tasks: TaskProject) -> None:
    tasks.settings(
        CELERY_TASK_TIME_LIMIT=60, CELERY_TASK_SOFT_TIME_LIMIT=50, CELERY_TASK_ANNOTATIONS={"*": {"priority": 3}}
    )
    tasks.plugin("jobs.py", CALLED_EARLY)
    tasks.project.prepare()
    early = tasks.module("jobs").early
    assert (early.time_limit, early.soft_time_limit) == (60, 50)
    assert not early.acks_late
    assert early.reject_on_worker_lost
    assert early.priority == 3


def test_celerys_own_tasks_have_the_settings_too(tasks: TaskProject) -> None:
    manager = tasks.project.prepare()
    assert application_of(manager).tasks["celery.chord_unlock"].acks_late


def test_two_applications_one_after_the_other_have_each_its_own_tasks(tasks: TaskProject) -> None:
    tasks.plugin("jobs.py", CALLED_EARLY)
    first, second = (application_of(tasks.project.prepare()) for _ in range(2))
    assert first.tasks["jobs.early"] is not second.tasks["jobs.early"]
    assert tasks.module("jobs").early.app is second


def test_shared_tasks_and_results_of_the_current_application_belong_to_ours(tasks: TaskProject) -> None:
    tasks.plugin("jobs.py", "from celery import shared_task\n\n@shared_task\ndef shared():\n    return 1\n")
    with tasks.sending() as client:
        celery = tasks.module("jobs").shared.app
        assert "jobs.shared" in celery.tasks
        assert app_or_default() is celery

        def in_another_thread() -> str:
            return AsyncResult("nobody-knows").state

        assert client.portal is not None
        assert client.portal.call(in_another_thread) == "PENDING"


@pytest.mark.parametrize("name", ["TASK_DEFAULT_QUEUE_TYPE", "TASK_ROUTES"])
def test_a_wrong_setting_is_told_before_anything_starts(tasks: TaskProject, name: str) -> None:
    tasks.settings(**{f"CELERY_{name}": "qourum"})
    with pytest.raises(OpaError, match=f"CELERY_{name}"):
        tasks.project.prepare()


def test_a_shared_task_of_an_application_that_is_gone_is_not_in_the_next(tasks: TaskProject) -> None:
    shared = "from celery import shared_task\n\n@shared_task\ndef shared():\n    return {number}\n"
    file = tasks.plugin("jobs.py", shared.format(number=1))
    first = application_of(tasks.project.prepare())
    tasks.plugin("jobs.py", shared.format(number=2))
    assert first.tasks["jobs.shared"]() == 1
    assert application_of(tasks.project.prepare()).tasks["jobs.shared"]() == 2
    file.unlink()
    assert "jobs.shared" not in application_of(tasks.project.prepare()).tasks


@pytest.mark.parametrize(
    "register", ["celery.register_task(Import())", "celery.register_task(Import)", "celery.tasks.register(Import())"]
)
def test_a_task_that_is_a_class_is_like_the_others(tasks: TaskProject, register: str) -> None:
    file = tasks.plugin(
        "jobs.py",
        f"""
        from celery import Task
        from opa import get_instance

        celery = get_instance("celery")


        class Import(Task):
            name = "jobs.import"
            autoretry_for = (ValueError,)
            default_retry_delay = 0

            async def run(self, number):
                if not self.request.retries:
                    raise ValueError
                return number


        {register}
        """,
    )
    tasks.settings(CELERY_TASK_TIME_LIMIT=60, CELERY_TASK_SOFT_TIME_LIMIT=50)
    celery = application_of(tasks.project.prepare())
    task = celery.tasks["jobs.import"]
    assert task.apply(args=(3,)).get() == 3
    assert task.time_limit == 60
    assert celery.where("jobs.import") == f"{file}:8"
    assert celery.tasks_of("jobs") == ["jobs.import"]


def test_the_base_of_a_task_may_be_celerys_task_itself(tasks: TaskProject) -> None:
    tasks.plugin(
        "jobs.py",
        """
        import celery
        from opa import task
        from opa.tasks.task import Task

        class Counted(celery.Task):
            pass

        @task(base=celery.Task)
        async def plain(number):
            return number

        @task(base=Counted)
        def counted(number):
            return number

        @task(base=Task)
        def ours(number):
            return number
        """,
    )
    celery = application_of(tasks.project.prepare())
    for name in ("plain", "counted", "ours"):
        assert celery.tasks[f"jobs.{name}"].apply(args=(3,)).get() == 3
        assert isinstance(celery.tasks[f"jobs.{name}"], Task)


@pytest.mark.parametrize(
    ("base", "reason"),
    [
        ("object", "the class object is not a class of celery.Task"),
        ("'x.Y'", "a str is not a class of celery.Task"),
        ("Task()", "a Task is not a class of celery.Task"),
        ("Turned", "Cannot create a consistent method resolution"),
    ],
)
def test_a_base_that_is_no_class_of_tasks_is_reported_with_the_function(
    tasks: TaskProject, base: str, reason: str
) -> None:
    file = tasks.plugin(
        "jobs.py",
        f"""
        from typing import Generic, TypeVar
        from celery import Task
        from opa import task

        class Turned(Generic[TypeVar("T")], Task):
            pass

        @task(base={base})
        def build():
            pass
        """,
    )
    with pytest.raises(OpaError, match=f"the base of task 'jobs.build' cannot be used: {reason}") as caught:
        tasks.project.prepare()
    assert f"{file}:9" in str(caught.value)


@pytest.mark.parametrize(
    "declared",
    [
        "@task\ndef pages():\n    yield 1",
        "@task\nasync def pages():\n    yield 1",
        "@shared_task\ndef pages():\n    yield 1",
        "class pages(Task):\n    def run(self):\n        yield 1\n\ncelery.register_task(pages)",
    ],
)
def test_a_task_that_is_a_generator_is_refused_with_its_place(tasks: TaskProject, declared: str) -> None:
    lines = "from celery import Task, shared_task\nfrom opa import get_instance, task\ncelery = get_instance('celery')"
    tasks.plugin("jobs.py", f"{lines}\n\n{declared}\n")
    with pytest.raises(OpaError, match=r"the function '.*' of a task is a generator: .*jobs.py:\d"):
        application_of(tasks.project.prepare()).tasks["jobs.pages"].apply()


@pytest.mark.parametrize(
    "declared", ["@task\nclass pages: ...", "@task(name='p')\nclass pages(Task):\n    def run(self): ..."]
)
def test_a_class_below_the_decorator_of_tasks_is_refused_with_its_place(tasks: TaskProject, declared: str) -> None:
    tasks.plugin("jobs.py", f"from celery import Task\nfrom opa import task\n\n{declared}\n")
    with pytest.raises(OpaError, match=r"'pages' of a task is a class: .*jobs.py:4.*register_task\(pages\(\)\)"):
        tasks.project.prepare()


def test_the_name_of_a_task_that_is_given_in_the_place_of_its_function_is_refused(tasks: TaskProject) -> None:
    tasks.plugin("jobs.py", "from opa import task\n@task('nightly')\ndef pages(): ...\n")
    with pytest.raises(OpaError, match=r"@task takes a function, not 'nightly'.*jobs.py:2"):
        tasks.project.prepare()


def test_a_task_may_be_made_from_what_collects_a_generator(tasks: TaskProject) -> None:
    tasks.plugin(
        "jobs.py",
        """
        import functools
        from opa import task

        def listed(function):
            @functools.wraps(function)
            def run(*args):
                return list(function(*args))
            return run

        @task
        @listed
        def pages(number):
            yield number
        """,
    )
    assert application_of(tasks.project.prepare()).tasks["jobs.pages"].apply(args=(3,)).get() == [3]


def test_a_task_may_be_made_from_a_lambda(tasks: TaskProject) -> None:
    tasks.plugin("jobs.py", 'from opa import task\n\ndouble = task(name="jobs.double")(lambda number: 2 * number)\n')
    assert application_of(tasks.project.prepare()).tasks["jobs.double"].apply(args=(3,)).get() == 6


def test_two_tasks_of_one_name_are_told_where_one_is_a_class(tasks: TaskProject) -> None:
    tasks.plugin(
        "jobs.py",
        """
        from celery import Task
        from opa import get_instance, task

        @task(name="import")
        def first(): ...

        class Import(Task):
            name = "import"

        get_instance("celery").register_task(Import)
        """,
    )
    with pytest.raises(OpaError, match="task 'import' is defined twice, also at .*jobs.py:5"):
        tasks.project.prepare()


def test_tasks_of_a_plugin_that_is_skipped_do_not_come_back_when_the_others_are_made(project: Project) -> None:
    project.component("CELERY", "celery", BROKER_URL="redis://127.0.0.1:1")
    project.settings(PLUGIN_FAILURE="skip")
    project.plugin("bad.py", SKIPPED)
    project.plugin("good.py", "from opa import task\n\n@task(bind=True)\ndef good(self): ...\n")
    celery = application_of(project.prepare())
    for _ in range(2):  # before they are made, and after that
        assert [name for name in celery.functions() if not name.startswith("celery.")] == ["good.good"]
        assert [name for name in celery.tasks if not name.startswith("celery.")] == ["good.good"]
        assert not celery.is_bound("bad.later")
        assert not celery.is_bound("bad.early")
        assert celery.is_bound("good.good")
        assert not celery.conf.beat_schedule
