"""Run a piece of code in which `await` may stand outside of functions."""

from __future__ import annotations

import ast
import asyncio
import inspect
import linecache
import sys
from collections.abc import Iterator
from types import CodeType
from typing import Any


def run_snippet(
    code: str, name: str, names: dict[str, Any], runner: asyncio.Runner, *, show_values: bool = False
) -> bool:
    """Run `code`; where it raises, print the traceback of the code to standard error and return False.

    Args:
        name: what tracebacks call the code.
        names: the code's global names; it may change them.
        runner: runs what the code awaits.
        show_values: print the value of each expression that is a statement, as a prompt does.

    Raises:
        SystemExit: the code asks for it.
        OpaError: the code uses something that does not exist, such as a component; the error is one line.
    """
    from opa.errors import OpaError
    from opa.logging.tracebacks import format_exception

    # Tracebacks show the lines of the code, although it is in no file.
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    names = names | {"__name__": "__main__"}
    try:
        for statement in _compiled(code, name, show_values):
            result = eval(statement, names)  # noqa: S307 - this is what the user asked for
            if inspect.iscoroutine(result):
                runner.run(result)
    except OpaError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the code raises
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename != name:
            trace = trace.tb_next
        print(format_exception(error.with_traceback(trace)), end="", file=sys.stderr)
        return False
    return True


def _compiled(code: str, name: str, show_values: bool) -> Iterator[CodeType]:
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    if not show_values:
        yield compile(code, name, "exec", flags, dont_inherit=True)
        return
    module = compile(code, name, "exec", flags | ast.PyCF_ONLY_AST, dont_inherit=True)
    for statement in module.body:
        yield compile(ast.Interactive([statement]), name, "single", flags, dont_inherit=True)
