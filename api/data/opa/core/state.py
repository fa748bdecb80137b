"""A place for what plugins of one process share without a component."""

from typing import Any

state: dict[str, Any] = {}
"""Free for plugins. `state["runner"]` says what runs: `uvicorn` for the api, `ipython` in `opa shell`."""
