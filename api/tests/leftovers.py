"""What a run of the tests leaves behind when it is interrupted: processes, and what Docker has of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

RUN = "TESTS_RUN"
"""An environment variable that all processes of a run have, and no other."""


def end_leftovers(run: str) -> None:
    """Kill the processes of a run other than this one, and take its containers, networks, volumes and images away."""
    for pid in _processes(run):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    if shutil.which("docker"):
        for kind, listing, removal in _DOCKER:
            name = f"opa-test-{run}-"
            chosen = f"reference={name}*" if kind == "image" else f"name={name}"
            found = _docker(kind, *listing, "--filter", chosen).split()
            if found:
                _docker(kind, *removal, *dict.fromkeys(found))


_DOCKER = (
    ("container", ("ls", "--all", "--quiet"), ("rm", "--force", "--volumes")),
    ("network", ("ls", "--quiet"), ("rm",)),
    ("volume", ("ls", "--quiet"), ("rm", "--force")),
    ("image", ("ls", "--quiet"), ("rm", "--force")),
)


def _docker(*arguments: str) -> str:
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=120, check=False)
        return done.stdout if done.returncode == 0 else ""
    return ""


def _processes(run: str) -> Iterator[int]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and int(folder.name) != os.getpid():
            with contextlib.suppress(OSError):
                if f"{RUN}={run}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                    yield int(folder.name)
