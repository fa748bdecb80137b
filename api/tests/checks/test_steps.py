from __future__ import annotations

from opa.checks.steps import held_steps, imported_steps
from tests.project import Project


def told(project: Project) -> list[str]:
    return [str(mistake).replace(str(project.folder), "…") for mistake in imported_steps(project.prepare())]


def test_a_step_that_is_imported_is_reported_with_what_to_do(project: Project) -> None:
    project.plugin("common/steps.py", "def ready(): ...")
    project.plugin("p.py", "from common.steps import ready")
    assert told(project) == [
        "ready() of plugin 'p' is imported from 'common.steps' (…/plugins/common/steps.py:1), and is not run: only a"
        " function that is defined in the plugin itself is (…/plugins/p.py). Write 'def ready()' there, and call it; or"
        " import it under another name"
    ]


def test_a_step_of_another_plugin_and_a_function_of_python_are_not_reported(project: Project) -> None:
    project.plugin("p.py", "def ready(): ...")
    project.plugin("q.py", "from logging import shutdown\nfrom p import ready")
    assert told(project) == []


def test_a_step_that_something_else_holds_is_reported_with_what_to_do(project: Project) -> None:
    project.plugin("p.py", "def shutdown(): ...\nACTIONS = {'off': shutdown}")
    (finding,) = held_steps(project.prepare())
    assert finding.problem.startswith("shutdown() of plugin 'p' is not run when the process stops")
    assert finding.where == f"{project.plugins}/p.py:1"
