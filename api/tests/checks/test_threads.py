from __future__ import annotations

from opa.checks.threads import threads_of_imports
from tests.project import Project

STARTS = """
import threading

end = threading.Event()
threading.Thread(target=end.wait, name="poller", daemon=True).start()
"""
ENDS = """
import threading

thread = threading.Thread(target=int)
thread.start()
thread.join()
"""


def told(project: Project) -> list[str]:
    manager = project.prepare()
    told = [str(mistake).replace(str(project.plugins), "…") for mistake in threads_of_imports(manager)]
    for found in manager.registry.objects:
        if end := getattr(found.plugin.module, "end", None):
            end.set()
    return told


def test_a_thread_that_an_import_leaves_running_is_reported_with_what_to_do(project: Project) -> None:
    project.plugin("prices.py", STARTS)
    assert told(project) == [
        "plugin 'prices' starts the thread 'poller' while it is imported, and the processes that are forked "
        "afterwards, to serve or to run tasks, do not have it (…/prices.py). "
        "Start it in a Setup or in ready(); or set PRELOAD: false for the api"
    ]


def test_threads_of_a_submodule_count_too(project: Project) -> None:
    project.plugin("prices/__init__.py", "from prices import client\n\nend = client.end\n")
    project.plugin("prices/client.py", STARTS)
    (line,) = told(project)
    assert "plugin 'prices' starts the thread 'poller'" in line


def test_a_thread_that_has_ended_is_none(project: Project) -> None:
    project.plugin("prices.py", ENDS)
    assert told(project) == []


def test_without_preload_the_threads_are_there(project: Project) -> None:
    project.settings(PRELOAD=False)
    project.plugin("prices.py", STARTS)
    assert told(project) == []
