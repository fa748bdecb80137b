"""Which names a new project or plugin may have."""

from __future__ import annotations

import keyword
import re
import sys
from importlib.machinery import PathFinder
from pathlib import Path

from opa._util.printable import in_one_line
from opa.errors import ProjectError
from opa.loading.candidates import is_for_others

MAX_LENGTH = 50
"""Characters of a name: container names are made of that of a project, and hosts of these."""
SHOWN = 80
"""Characters of one that is refused."""

# What Compose, registries of images and Python packages all take.
_PROJECT = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_OWN_NAMES = frozenset({"opa", "opa-stack", "opa_stack"})
_BUILT_IN_FOLDER = Path(__file__).resolve().parent.parent / "plugins"


def check_project_name(name: str) -> None:
    """See that a project may have this name.

    Raises:
        ProjectError: it may not.
    """
    shown = f"{in_one_line(name):.{SHOWN}}"
    if not _PROJECT.fullmatch(name) or len(name) > MAX_LENGTH:
        raise ProjectError(
            f"'{shown}' cannot be the name of a project",
            hint=f"Use at most {MAX_LENGTH} lower-case letters, digits, and - or _ between them, with a letter first",
        )
    if name in _OWN_NAMES:
        raise ProjectError(f"'{shown}' is the name of opa-stack itself", hint="Give the project a name of its own")
    module = name.replace("-", "_")
    if module in sys.stdlib_module_names:
        raise ProjectError(
            f"'{shown}' is the name of a module of Python's standard library", hint=f"Take another one: my-{name}"
        )
    if keyword.iskeyword(module):
        raise ProjectError(f"'{shown}' is a keyword of Python", hint=f"Take another one: my-{name}")


def check_plugin_name(name: str) -> None:
    """See that a new plugin may have this name.

    Raises:
        ProjectError: it may not.
    """
    shown = f"{in_one_line(name):.{SHOWN}}"
    if not (name.isascii() and name.isidentifier() and name[0].isalpha()) or len(name) > MAX_LENGTH:
        meant = re.sub(r"\W+", "_", name.removesuffix(".py"), flags=re.ASCII).strip("_")
        raise ProjectError(
            f"'{shown}' cannot be the name of a plugin",
            hint=f"Use at most {MAX_LENGTH} letters, digits and _, with a letter first"
            + (f": {meant[:MAX_LENGTH]}" if meant[:1].isalpha() else ""),
        )
    if keyword.iskeyword(name):
        raise ProjectError(f"'{shown}' is a keyword of Python", hint=f"Take another one: my_{name}")
    if owner := _owner(name):
        raise ProjectError(f"'{shown}' is the name of {owner}", hint=f"Take another one: my_{name}")


def _owner(name: str) -> str:
    """Whose name it is already; empty where it is nobody's."""
    if name in sys.stdlib_module_names:
        return "a module of Python's standard library"
    if is_for_others(f"{name}.py"):
        return "a file that is reserved for pytest, setuptools or Python itself"
    if name in {path.stem for path in _BUILT_IN_FOLDER.iterdir()}:
        return "a plugin of opa-stack"
    here = {"", str(Path.cwd()), str(Path.cwd() / "plugins")}
    spec = PathFinder.find_spec(name, [entry for entry in sys.path if entry not in here])
    return f"an installed module ({spec.origin})" if spec is not None and spec.origin else ""
