"""An error that an import has raised: what it says, the line of the plugin that it comes from, and what to do."""

from __future__ import annotations

import importlib
import re
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path

from opa._util.sources import PACKAGE_FOLDER
from opa._util.suggestions import nearest
from opa.loading.repeats import hint_for

BY_OWN_NAME = "Plugins import from one another by their own name"


def summary(error: BaseException, doing: str = "while it is imported") -> str:
    """What a plugin's code has raised, in words."""
    if isinstance(error, SystemExit):
        return f"it calls sys.exit({error.code!r}) {doing}".rstrip()
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - any plugin's
        return f"{type(error).__name__}, whose text cannot be had"


def import_hint(error: BaseException, file: Path) -> str:
    """What to do about an error that the import of `file` has raised."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        name = error.name.partition(".")[0]
        if name in sys.modules:
            return f"'{name}' is there, and has no module of that name: fix the import"
        if own := _own_import(error):
            return own
        known = {each for each in (*sys.stdlib_module_names, *sys.modules) if "." in error.name or "." not in each}
        close = nearest(error.name, known)
        return f"Did you mean '{close}'?" if close else f"Install the package that has '{name}', or fix the import"
    if isinstance(error, ImportError) and "no known parent package" in str(error):
        line = _last_line(error)
        own = re.sub(r"^from \.+", "from ", re.sub(r"^from \.+ import ", "import ", line))
        own = re.sub(rf"^from {re.escape(file.parent.name)}\.", "from ", own)
        return f"{BY_OWN_NAME}: write '{own}'"
    if isinstance(error, SystemExit):
        return (
            "A plugin is imported: put what a script does below if __name__ == '__main__', or move it out of the plugin"
            " path"
        )
    return hint_for(f"import {file}", "Fix the plugin, or skip it with PLUGIN_BLACKLIST_LIST")


def _own_import(error: ModuleNotFoundError) -> str | None:
    """What to write where a plugin imports another one by its folder, which is no package here."""
    line = _last_line(error)
    for folder in [Path(entry) for entry in sys.path]:
        if (error.name or "").partition(".")[0] in folder.parts[-3:]:
            path = rf"\b(\w+\.)*{re.escape(folder.name)}"
            own = re.sub(rf"^from {path} import ", "import ", line)
            own = re.sub(rf"{path}\.", "", own)
            if own != line:
                return f"{BY_OWN_NAME}: write '{own}'"
    return None


def _last_line(error: BaseException) -> str:
    """The line of code that has raised it, without a comment; `import_module` is no code of anyone's."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(("<frozen importlib", str(importlib.__file__)))]
    return ((own or frames)[-1].line or "").split("#")[0].strip()


def deepest_line_in(folders: Iterable[Path], error: BaseException) -> str | None:
    """`file:line` of the innermost frame of the traceback that lies in a user's plugin, or else in any plugin."""
    lines = [
        (frame.filename, frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        if any(Path(frame.filename).is_relative_to(folder) for folder in folders)
    ]
    users = [line for line in lines if not Path(line[0]).is_relative_to(PACKAGE_FOLDER)]
    chosen = users or lines
    return f"{chosen[-1][0]}:{chosen[-1][1]}" if chosen else None
