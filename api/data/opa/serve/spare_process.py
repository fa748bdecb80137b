"""What the process in spare does until it is needed; see `opa.serve.spare`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import time
import warnings
from importlib import import_module
from pathlib import Path
from types import ModuleType

from opa.process.orphans import end_with_parent
from opa.serve.command import command
from opa.serve.handed import Handed
from opa.serve.packages import installed_packages

Stamp = tuple[int, int, int]
MAX_LINE = 65536


def wait_for_go(supervisor: int, mistakes: Path, imports: Path, readable: int) -> Handed | None:
    """Import, wait, and return when this is to be the process that serves.

    It ends where nobody needs it any more. Where a file that it has imported has changed, or a package was installed,
    it begins anew as a process that was never in spare.

    Args:
        supervisor: process id of the parent.
        mistakes: for the command of that one.
        imports: a file with the names of what is imported.
        readable: a socket on which a line says that it is time, with variables for the environment.

    Returns:
        The socket to serve on, where one came with the line.
    """
    end_with_parent(supervisor)
    began, packages = time.time_ns(), installed_packages()
    names = "[]"
    with contextlib.suppress(FileNotFoundError):  # it is needed already, and the next list is not there yet
        names = imports.read_text()
    with warnings.catch_warnings(action="ignore"):  # as in any process that imports them for the first time
        for name in json.loads(names):
            with contextlib.suppress(Exception):  # the start says what is wrong with it
                import_module(name)
    files = _files()
    variables, handed = _received(readable)
    os.environ.update(variables)
    if installed_packages() != packages or _have_changed(files, began):
        if handed is not None:
            os.set_inheritable(handed.descriptor, True)
        os.execv(sys.executable, command(supervisor, mistakes, imports, handed))  # noqa: S606
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    return handed


def _received(readable: int) -> tuple[dict[str, str], Handed | None]:
    """What the line has, which comes as a whole; ends the process where none comes."""
    with socket.socket(fileno=readable) as waiting:
        line, descriptors, _, _ = socket.recv_fds(waiting, MAX_LINE, 1)
    if not line:
        sys.exit()
    variables, place = json.loads(line)
    if not descriptors:
        return variables, None
    (descriptor,) = descriptors
    os.set_inheritable(descriptor, False)  # unlike all that Python opens by itself
    return variables, Handed(descriptor, *place)


def _files() -> dict[str, Stamp | None]:
    """What was imported, with stamps."""
    modules = [module for module in sys.modules.values() if isinstance(module, ModuleType)]
    return {file: _stamp(file) for module in modules if (file := getattr(module, "__file__", None))}


def _have_changed(files: dict[str, Stamp | None], since: int) -> bool:
    """Whether one of them is another one now, or was written while they were imported."""
    return any(stamp is None or stamp[2] >= since or _stamp(file) != stamp for file, stamp in files.items())


def _stamp(file: str) -> Stamp | None:
    try:
        found = os.stat(file)  # noqa: PTH116 - there are a thousand
    except NotADirectoryError:  # it is in an archive
        return _stamp(os.path.dirname(file))  # noqa: PTH120 - as above
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


if __name__ == "__main__":
    # Ctrl-C is not for it; when it serves, it is an end and not a stack trace, until the server handles it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _supervisor, _mistakes, _imports, _readable = sys.argv[1:]
    _handed = wait_for_go(int(_supervisor), Path(_mistakes), Path(_imports), int(_readable))
    sys.argv[1:] = [_supervisor, _mistakes, _imports, *([] if _handed is None else [str(_handed)])]

    from opa.serve.single import main

    main()
