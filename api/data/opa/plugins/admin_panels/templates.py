"""The templates of starlette-admin, so that its pages run under a policy that lets no script in from elsewhere.

Each script that stands in one of its templates gets the nonce of the answer, and what is done by an attribute is done
by a file of ours (`_files/opa-admin.js`). That happens to the text of the templates, so that nothing that is in a value
can get the same.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from jinja2 import BaseLoader, Environment

FOLDER = Path(__file__).parent
TEMPLATES = FOLDER / "_templates"
FILES = FOLDER / "_files"

EXCHANGES = (
    ("<script>", '<script nonce="{{ request.state.opa_nonce }}">'),
    ('onclick="applyColumnVisibility()"', 'data-opa-click="columns"'),
    ('onchange="window.location = this.value"', "data-opa-go"),
    # In a script, where what HTML escapes is not enough.
    ('"{{ obj[pk] }}"', "{{ obj[pk] | string | tojson }}"),
    # It has a title for some actions only, and asks a question for each.
    ('aria-labelledby="modal-action-title"', 'aria-labelledby="modal-action-title actionConfirmation"'),
    # Without a host, so that a form leads to where its page has come from, whatever a proxy has said.
    ('action="{{ request.url }}"', 'action="{{ request.url.path }}?{{ request.url.query }}"'),
)


class Exchanged(BaseLoader):
    """Gives the templates of another loader, with what stands above exchanged.

    Args:
        loader: has the templates.
    """

    def __init__(self, loader: BaseLoader) -> None:
        self._loader = loader

    def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, Callable[[], bool] | None]:
        """The text of a template."""
        source, file, is_current = self._loader.get_source(environment, template)
        for before, after in EXCHANGES:
            source = source.replace(before, after)
        return source, file, is_current

    def list_templates(self) -> list[str]:
        """The names of all."""
        return self._loader.list_templates()
