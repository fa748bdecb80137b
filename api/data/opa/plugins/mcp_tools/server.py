"""The server of the Model Context Protocol, which lists the tools and calls them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mcp import types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server

from opa import OpaError, config, log, mask_text
from opa.plugins.mcp_tools.caller import Caller
from opa.plugins.mcp_tools.catalogue import Catalogue, catalogue_of
from opa.plugins.mcp_tools.tool import Binary, Description, ToolError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

Context = ServerRequestContext[Any, Any]
FindCaller = Callable[[Context], Caller]


class Tools:
    """The tools of an application, which are found when they are first asked for.

    Args:
        app: the application, started.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._lock = asyncio.Lock()
        self._catalogue: Catalogue | None = None

    async def catalogue(self) -> Catalogue:
        """All of them.

        Raises:
            OpaError: something in the application cannot be described.
        """
        async with self._lock:
            if self._catalogue is None:
                self._catalogue = await asyncio.to_thread(catalogue_of, self._app)
        return self._catalogue


def server_for(tools: Tools, caller_of: FindCaller) -> Server[Any]:
    """The server.

    Args:
        caller_of: says who sends a message.
    """

    async def list_tools(_context: Context, _params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        catalogue = await tools.catalogue()
        return types.ListToolsResult(tools=[_as_told(tool.description) for tool in catalogue.tools.values()])

    async def call_tool(context: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        return await _called(tools, params, caller_of(context))

    return Server(
        config.PROJECT_NAME,
        version=config.PROJECT_VERSION,
        instructions=config.PROJECT_DESCRIPTION or None,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def _called(tools: Tools, params: types.CallToolRequestParams, caller: Caller) -> types.CallToolResult:
    name = params.name
    try:
        tool = (await tools.catalogue()).tools.get(name)
        if tool is None:
            raise ToolError(f"there is no tool {name[:100]!r}")
        answer = await tool.call(params.arguments or {}, caller)
    except ToolError as error:
        log.info("a call of the tool {!r} failed: {}", name[:100], str(error).partition("\n")[0])
        return _failed(str(error))
    except OpaError as error:
        log.error("a call of the tool {!r} failed: {}", name[:100], error)
        return _failed(mask_text(str(error)))
    except Exception as error:  # noqa: BLE001 - the log has it, and the assistant goes on
        log.opt(exception=error).error("a call of the tool {!r} failed", name[:100])
        return _failed("the call failed; the log of the application has the error")
    log.info("the tool {!r} was called", name)
    return types.CallToolResult(content=[_content(answer.content)], structured_content=answer.structured)


def _failed(why: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=why)], is_error=True)


def _content(content: str | Binary) -> Any:
    if isinstance(content, str):
        return types.TextContent(type="text", text=content)
    data = base64.b64encode(content.data).decode()
    if content.media_type.startswith("image/"):
        return types.ImageContent(type="image", data=data, mime_type=content.media_type)
    if content.media_type.startswith("audio/"):
        return types.AudioContent(type="audio", data=data, mime_type=content.media_type)
    resource = types.BlobResourceContents(uri="opa:answer", blob=data, mime_type=content.media_type)
    return types.EmbeddedResource(type="resource", resource=resource)


def _as_told(description: Description) -> types.Tool:
    return types.Tool(
        name=description.name,
        description=description.text,
        input_schema=description.arguments,
        annotations=types.ToolAnnotations(
            read_only_hint=description.reads_only,
            destructive_hint=description.destroys,
            idempotent_hint=description.may_be_repeated,
            open_world_hint=False,
        ),
    )
