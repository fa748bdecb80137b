"""`opa mcp`: the tools of the project for an assistant that has started it, over standard input and output."""

from __future__ import annotations

import asyncio
import signal
from importlib.util import find_spec
from typing import TYPE_CHECKING

import typer

from opa import OpaError, RefusedCredentialError, config, register, started_application
from opa.commands import connects, in_one_line, print_table, system_user

if TYPE_CHECKING:
    from opa.plugins.mcp_tools.caller import Caller
    from opa.plugins.mcp_tools.server import Tools

commands = typer.Typer()
mcp = typer.Typer(
    name="mcp",
    help="Serve routes and tasks as tools for an AI assistant, by the Model Context Protocol.",
    invoke_without_command=True,
)
commands.add_typer(mcp)


@mcp.callback()
@connects()
async def serve(context: typer.Context) -> None:
    """Serve routes and tasks with a tag of MCP_TAGS as tools for an assistant, over standard input and output.

    The assistant starts it, and speaks the Model Context Protocol (MCP) with it. The log is on standard error.
    """
    if context.invoked_subcommand is not None:
        return
    _check()
    from opa.plugins.mcp_tools.caller import on_this_machine
    from opa.plugins.mcp_tools.local import LocalUser, actor_of_key
    from opa.plugins.mcp_tools.server import Tools

    register("authenticators")(LocalUser)
    async with started_application() as app:
        try:
            actor = await actor_of_key()
        except RefusedCredentialError as error:
            raise OpaError(f"MCP_KEY is refused: {error}", hint="opa keys create makes an API key") from None
        await _speak(Tools(app), on_this_machine(system_user(), actor))


@mcp.command()
@connects()
async def tools() -> None:
    """Show the tools, and the tagged routes and tasks that cannot be tools."""
    _check()
    from opa.plugins.mcp_tools.server import Tools

    async with started_application() as app:
        catalogue = await Tools(app).catalogue()
    rows = [
        [each.name, each.made_of, in_one_line(each.text.strip().partition("\n")[0])]
        for each in (tool.description for tool in catalogue.tools.values())
    ]
    if rows:
        print_table(["tool", "of", ""], rows)
    else:
        tags = ", ".join(config.MCP_TAGS)
        print(f"no tools: no route and no task has a tag of MCP_TAGS ({tags}); give one tags=['{config.MCP_TAGS[0]}']")
    for left_out in catalogue.left_out:
        typer.echo(in_one_line(f"no tool: {left_out.made_of}: {left_out.reason}"), err=True)


async def _speak(tools: Tools, caller: Caller) -> None:
    """Answer what comes in, until that ends."""
    import anyio
    from mcp.server.stdio import stdio_server

    from opa.plugins.mcp_tools.lines import Lines, take_standard_input
    from opa.plugins.mcp_tools.server import server_for

    server = server_for(tools, lambda _context: caller)
    lines = Lines(take_standard_input())
    # An assistant that does not wait for the end of the process sends it: what has started is stopped then, too.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lines.end)
    try:
        async with stdio_server(stdin=lines) as (received, sent):  # type: ignore[arg-type]  # all that is used of a file
            await server.run(received, sent, server.create_initialization_options())
    except* (BrokenPipeError, anyio.BrokenResourceError, anyio.ClosedResourceError):
        pass  # the assistant is gone


def _check() -> None:
    """See that there can be tools.

    Raises:
        OpaError: there can be none.
    """
    if find_spec("mcp") is None:
        raise OpaError(
            "opa mcp needs the package mcp, which is not installed", hint="Install it: pip install 'opa-stack[mcp]'"
        )
    if not config.MCP_TAGS:
        raise OpaError(
            "there are no tools: MCP_TAGS names no tag",
            hint="Set MCP_TAGS: [assistant], and give routes and tasks tags=['assistant']",
        )
