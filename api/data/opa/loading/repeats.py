"""What of a plugin runs a second time in a process, as a test run has it that makes several applications.

Plugins are imported afresh for each; the packages that they use are not. What a plugin has put into a registry there is
still in it.
"""

from __future__ import annotations

from opa.current import current

HINT = (
    "It went well before in this process, as for an earlier start_api(): what it has put into a registry of a package"
    " then (metrics, tables, signals) is still there. Make one application for the whole run, or give each a registry"
    " of its own"
)


def note_done(what: str) -> None:
    """It has run once, without an error.

    Args:
        what: names it, with its file.
    """
    current.done.add(what)


def hint_for(what: str, hint: str) -> str:
    """What to do about an error of it: `hint`, unless it has run before."""
    return HINT if what in current.done else hint
