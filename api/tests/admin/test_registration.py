"""What a plugin says by `opa.admin`, before anything shows it."""

from __future__ import annotations

import subprocess
import sys

from pydantic import BaseModel

from opa import admin
from opa.admin.panels import panel_name
from tests.project import Project


class OrderLine(BaseModel):
    title: str


class HTTPLog2(BaseModel):
    title: str


def test_a_panel_is_named_for_its_model() -> None:
    assert [panel_name(model) for model in (OrderLine, HTTPLog2)] == ["order-line", "http-log2"]


def test_options_are_given_by_name_by_a_class_below_or_by_one_from_elsewhere(project: Project) -> None:
    project.plugin(
        "shop.py",
        """
        from pydantic import BaseModel

        from opa.admin import ModelAdmin, page, register

        class Entry(BaseModel):
            title: str

        register(Entry, name="one", label="First")

        @register(Entry, name="two")
        class Two(ModelAdmin):
            label = "Second"
            list_display = ["title"]

        class Three(ModelAdmin):
            name = "three"

        register(Entry, Three)
        register(Entry)

        @page("What is left?", icon="fa-solid fa-box")
        def left(request):
            return ""
        """,
    )
    project.prepare()
    panels = admin.panels()
    assert [(each.name, each.label, each.component, each.collection) for each in panels] == [
        ("one", "First", "mongodb", "one"),
        ("two", "Second", "mongodb", "two"),
        ("three", "Entries", "mongodb", "three"),
        ("entry", "Entries", "mongodb", "entry"),
    ]
    assert panels[1].options.list_display == ["title"]
    assert [(page.name, page.title) for page in admin.admin_pages()] == [("what-is-left", "What is left?")]


def test_to_register_imports_nothing_that_shows() -> None:
    code = "import sys, opa.admin; print({'starlette_admin', 'sqlalchemy', 'opa.plugins'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "set()\n"
