"""`opa shell`: IPython, or a snippet, with the plugins loaded and the components connected."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opa._util.printable import in_one_line
from opa.cli.program import app

if TYPE_CHECKING:
    import asyncio

    from opa.core.manager import PluginManager


@app.command()
def shell(
    code: Annotated[
        str | None, typer.Option("--command", "-c", help="Run this code instead; `await` works in it.")
    ] = None,
) -> None:
    """Open IPython with the plugins loaded and the components connected; `await` works at the prompt.

    Without a terminal the standard input is run as a program. Exit status 1 where the code raises.
    """
    import asyncio

    from opa.cli.beside_up import manager_beside_up
    from opa.process.extras import need

    with_prompt = code is None and sys.stdin.isatty()
    if with_prompt:
        need("IPython", by="the prompt of opa shell", extra="shell", otherwise="give it code: opa shell -c CODE")
    manager = manager_beside_up("shell")
    if with_prompt:
        from IPython.core.async_helpers import get_asyncio_loop

        # IPython runs what it awaits, and its prompt, on this loop.
        with asyncio.Runner(loop_factory=get_asyncio_loop) as runner, _running(manager, runner):
            _prompt(manager)
        return
    with asyncio.Runner() as runner, _running(manager, runner):
        from opa.cli.snippet import run_snippet

        if code is not None:
            succeeded = run_snippet(code, "<command>", names_in_scope(manager), runner)
        else:
            succeeded = run_snippet(sys.stdin.read(), "<stdin>", names_in_scope(manager), runner, show_values=True)
    if not succeeded:
        raise typer.Exit(1)


@contextmanager
def _running(manager: PluginManager, runner: asyncio.Runner) -> Iterator[None]:
    """Connected, on the loop of `runner`, which runs only while something is awaited."""
    from opa.core.lifespan import running

    started = running(manager)
    runner.run(started.__aenter__())
    try:
        yield
    finally:
        runner.run(started.__aexit__(None, None, None))


def names_in_scope(manager: PluginManager) -> dict[str, Any]:
    """What code in the shell finds by name: the names of `opa`, and the client of each connected component."""
    from opa import call_hook, call_hook_async, config, get_instance, log

    own = {
        "config": config,
        "log": log,
        "pm": manager,
        "get_instance": get_instance,
        "call_hook": call_hook,
        "call_hook_async": call_hook_async,
    }
    components = {name: found.get_instance() for name, found in manager.optional_components.items()}
    return {name: client for name, client in components.items() if name.isidentifier()} | own


def banner(manager: PluginManager) -> str:
    """What the prompt begins with: which names there are, and which components are not there, and why."""
    names = [name for name in names_in_scope(manager) if name not in manager.optional_components]
    lines = ["opa-stack: await works at the prompt", f"  names: {', '.join(names)}"]
    for name, state in manager.component_states.items():
        if name in manager.optional_components:
            kind = type(manager.optional_components[name].get_instance())
            lines.append(in_one_line(f"  {name}: {kind.__module__}.{kind.__qualname__}"))
        else:
            lines.append(f"  {in_one_line(name)}: {in_one_line(str(state))}")
    return "\n".join(lines) + "\n"


def _prompt(manager: PluginManager) -> None:
    from IPython import start_ipython
    from traitlets.config import Config

    config = Config()
    config.TerminalInteractiveShell.banner1 = banner(manager)
    config.TerminalInteractiveShell.confirm_exit = False
    config.TerminalInteractiveShell.enable_tip = False
    config.InteractiveShell.loop_runner = "asyncio"
    # The loop then also runs while the prompt waits, and what plugins do in the background goes on.
    config.TerminalIPythonApp.gui = "asyncio"
    start_ipython(argv=[], user_ns=names_in_scope(manager), config=config)
