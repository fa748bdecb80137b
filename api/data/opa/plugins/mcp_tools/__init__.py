"""Routes and tasks as tools for assistants, by the Model Context Protocol: those with a tag of the setting MCP_TAGS.

`opa mcp` serves them on standard input and output, and the api does so at MCP_URL. Nothing more is imported where that
is null.
"""

from __future__ import annotations

from opa import config

if config.MCP_URL:
    from importlib.util import find_spec

    from opa import OpaError

    if not config.MCP_TAGS:
        raise OpaError(
            "MCP_URL serves tools, and MCP_TAGS names no tag of which there are tools",
            hint="Name some: MCP_TAGS: [assistant], and give routes and tasks tags=['assistant']",
        )
    if find_spec("mcp") is None:
        raise OpaError(
            "MCP_URL needs the package mcp, which is not installed", hint="Install it: pip install 'opa-stack[mcp]'"
        )
    from opa.plugins.mcp_tools.endpoint import router

    __all__ = ["router"]
