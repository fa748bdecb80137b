"""What is said while an application is prepared."""

from __future__ import annotations

import re

from opa.core.log import log
from tests.project import Project


def test_the_log_names_the_users_plugins_and_built_in_ones_only_where_a_filter_refused_them(project: Project) -> None:
    project.plugin("hello.py")
    project.settings(PLUGIN_BLACKLIST_RE=".*/core_docs")
    written: list[str] = []
    sink = log.add(written.append, level="DEBUG", format="{message}")
    try:
        project.prepare()
    finally:
        log.remove(sink)
    said = [line for line in written if line.startswith("plugin")]
    assert len(said) == 2
    assert "/core_docs: left out" in said[0]
    assert re.fullmatch(r"plugins: hello; \d+ that come with opa-stack\n", said[1])
