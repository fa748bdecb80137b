"""What concerns Celery; it is imported only where a plugin has a task."""

from __future__ import annotations

from collections.abc import Iterator

from opa.checks.deploy.check import Deployment, NotChecked
from opa.checks.finding import Finding
from opa.errors import OpaError

_UNSAFE = ("pickle", "application/x-python-serialize", "yaml", "application/x-yaml")
"""Formats in which a message may run code when it is read, by name and by content type."""


def unsafe_formats(deployment: Deployment) -> Iterator[Finding]:
    """Whether who can write to the broker runs code in a worker, and who can write results does in the api."""
    if not deployment.manager.tasks.functions():
        return
    from opa.tasks.application import application_of

    settings = application_of(deployment.manager).conf
    for name in ("accept_content", "result_accept_content"):
        accepted = [str(each) for each in settings[name] or ()]
        found = [each for each in accepted if each.lower() in _UNSAFE]
        if found:
            yield Finding(
                f"Celery accepts {', '.join(found)}: a message in this format can run code when it is read",
                where=f"setting {name} of Celery",
                hint='Set it to ["json"]',
            )


def dead_letters(deployment: Deployment) -> Iterator[Finding]:
    """Whether tasks were given up, and nobody has looked at them; a note where the broker does not answer."""
    if not deployment.manager.tasks.functions():
        return
    from opa.tasks.dead_letters.reader import dead_letters as read_dead_letters
    from opa.tasks.required import task_application

    try:
        with read_dead_letters(task_application(deployment.manager, "opa check --deploy")) as held:
            waiting = sum(1 for _ in held)
    except OpaError as error:
        problem = f"the dead letters were not looked at: {error.problem}"
        yield NotChecked(problem, where=error.where or "the broker", hint=error.hint or "Start the broker")
        return
    if waiting:
        yield Finding(
            f"{waiting} dead letter{'s' if waiting > 1 else ''}: tasks that were given up",
            where="the broker",
            hint="Look at them with `opa tasks dead`, and retry or drop them",
        )
