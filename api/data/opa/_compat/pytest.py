"""Which modules pytest rewrites for its assertions."""

from __future__ import annotations

from typing import Any


def leave_unwritten(hook: Any, package: str) -> None:
    """Have the modules of a package imported as they are.

    pytest rewrites all modules of each distribution that has a plugin for it. Of one that has hundreds of modules, and
    no assertion for a test, that costs seconds where they cannot be cached.

    Args:
        hook: the attribute `rewrite_hook` of the plugin manager.
        package: its name.
    """
    marked: set[str] | None = getattr(hook, "_must_rewrite", None)
    if marked is not None:  # it has none with --assert=plain
        marked.discard(package)
