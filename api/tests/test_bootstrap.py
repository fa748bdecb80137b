"""What is said while an application is prepared."""

from __future__ import annotations

from opa.logging.logger import log
from tests.project import Project


def test_the_log_names_a_built_in_plugin_where_a_filter_refused_it(project: Project) -> None:
    project.plugin("hello.py")
    project.settings(PLUGIN_BLACKLIST_RE=".*/core_docs")
    written: list[str] = []
    sink = log.add(written.append, level="DEBUG", format="{message}")
    try:
        project.prepare()
    finally:
        log.remove(sink)
    (said,) = [line for line in written if line.startswith("plugin")]
    assert "/core_docs: skipped" in said
