from __future__ import annotations

from opa.checks.unimported import unimported_parts
from tests.project import Project

VIEWS = "from opa import get_router\n\nrouter = get_router()"
HANDLERS = "from opa import on\n\n\n@on('a.b')\nasync def heard(): ..."
JOBS = "from opa import task\n\n\n@task\nasync def job(): ..."


def told(project: Project) -> list[str]:
    return [str(finding).replace(str(project.plugins), "…") for finding in unimported_parts(project.prepare())]


def test_a_file_of_a_package_that_nothing_imports_is_reported_with_the_line_that_imports_it(project: Project) -> None:
    project.plugin("blog/__init__.py", "")
    for name, text in (("views", VIEWS), ("signals", HANDLERS), ("jobs/nightly", JOBS)):
        project.plugin(f"blog/{name}.py", text)
    assert told(project) == [
        "signals.py of plugin 'blog' has a handler of events, and nothing imports it (…/blog/signals.py:4). Write "
        "'import blog.signals' into its __init__.py, or name the file events.py, which is imported by itself",
        "views.py of plugin 'blog' has a router, and nothing imports it (…/blog/views.py:3). Write 'from blog.views "
        "import router' into its __init__.py; several are joined there by include_router",
        "jobs/nightly.py of plugin 'blog' has a task, and nothing imports it (…/blog/jobs/nightly.py:4). Write "
        "'import blog.jobs.nightly' into its __init__.py, or name the file tasks.py, which is imported by itself",
    ]


def test_what_is_imported_or_may_be_later_and_what_is_no_part_is_not_reported(project: Project) -> None:
    project.plugin(
        "blog/__init__.py", "from blog.views import router\n\nasync def ready():\n    from blog import later"
    )
    for name, text in (("views", VIEWS), ("later", VIEWS), ("tasks", JOBS), ("events", HANDLERS)):
        project.plugin(f"blog/{name}.py", text)
    for name in (
        "tests/test_views",
        "migrations/0001_a",
        "static/a",
        "_drafts/a",
        ".hidden",
        "_draft",
        "test_a",
        "conftest",
    ):
        project.plugin(f"blog/{name}.py", f"def upgrade(): ...\n{VIEWS}")
    project.plugin("blog/other.py", VIEWS.replace("from opa import", "from elsewhere import"))
    project.plugin("blog/broken.py", "\xff(")
    assert told(project) == []
