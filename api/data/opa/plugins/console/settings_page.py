"""The page of all settings."""

from __future__ import annotations

import json

from starlette.requests import Request

from opa import PluginManager, get_plugin_manager
from opa.introspection import settings_of
from opa.plugins.console.page import Context
from opa.plugins.console.readers import Reader

SETTINGS = "console:settings"
DEFAULTS = "default-settings.yaml"
"""The source of those that are not set."""


Row = tuple[str, str, str]
"""Name, value as JSON, and source."""


async def context(request: Request, _reader: Reader) -> Context:
    """What the template needs: those that are set, or with `all=1` all of them."""
    every = request.query_params.get("all") == "1"
    return {
        "rows": [row for row in rows_of(get_plugin_manager()) if every or not row[2].startswith(DEFAULTS)],
        "every": every,
    }


def rows_of(manager: PluginManager) -> list[Row]:
    """A row for each setting."""
    return [
        (leaf.name, json.dumps(leaf.value, default=str, ensure_ascii=False), leaf.source)
        for leaf in settings_of(manager)
    ]
