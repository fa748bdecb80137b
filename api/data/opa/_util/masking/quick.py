"""One quick look at a text, which ends the search for secrets in nearly all of them.

By the regular expressions of pydantic-core, which are Rust's: they take time in proportion to the length of the text,
whatever the expression, and for a line of a log a tenth of what Python's or a look for each word would take.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable
from functools import cache

LONGEST = 1000
"""How many bytes an expression for each line of the log may have: where it does not match, the engine makes a copy of
it for the error, and that of a longer one is memory of another kind, which takes half a microsecond more."""


@cache
def matcher(pattern: str) -> Callable[[str], bool]:
    """Make what tells whether a regular expression matches somewhere in a text.

    Args:
        pattern: in the syntax of https://docs.rs/regex: no looking around, no references.

    Returns:
        The engine's own function. For a text that is not `whole` it matches nothing.
    """
    from pydantic_core import SchemaValidator, core_schema  # a command that writes no text starts without it

    with _making:
        return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex")).isinstance_python


def _wait_for_engine() -> None:
    """A child that is forked while another thread imports the engine, or uses it first, would wait for that forever."""
    if matcher.cache_info().misses:  # it was called, or is being called
        importlib.import_module("pydantic_core")
    _making.acquire()


_making = threading.RLock()
os.register_at_fork(  # noqa: TID251 - once in a process
    before=_wait_for_engine, after_in_parent=_making.release, after_in_child=_making.release
)


def whole(text: str) -> str:
    """`text` with a question mark for half of a character."""
    return text.encode("utf-8", "replace").decode()
