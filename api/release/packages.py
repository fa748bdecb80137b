"""The sdist, and the wheel that is built of it: the same bytes from the same commit."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

from release.problem import ReleaseError
from release.tree import Tree

_BUILD = "import sys, setuptools.build_meta as backend; print(getattr(backend, sys.argv[1])(sys.argv[2]))"


def build_packages(tree: Tree, output: Path, work: Path) -> tuple[Path, Path]:
    """Build both into `output`: sdist and wheel.

    Args:
        work: a folder for what comes between.

    Raises:
        ReleaseError: the build fails.
    """
    tree.export(work, "api/data", "api/pyproject.toml", "api/README.md", "api/LICENSE")
    made = work / _built("build_sdist", work / "api", work, tree.epoch)
    sdist = output / made.name
    sdist.write_bytes(_reproducible(made, tree.epoch))
    with tarfile.open(sdist) as archive:
        archive.extractall(work / "unpacked", filter="data")
    [unpacked] = (work / "unpacked").iterdir()
    return sdist, output / _built("build_wheel", unpacked, output, tree.epoch)


def _built(hook: str, sources: Path, output: Path, epoch: int) -> str:
    """Call a hook of the build backend, in the environment that `make` has installed it into; the name of the file."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environ |= {"SOURCE_DATE_EPOCH": str(epoch), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(  # noqa: S603 - of fixed words
        [sys.executable, "-c", _BUILD, hook, str(output)],
        cwd=sources,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        umask=0o022,
    )
    if done.returncode:
        raise ReleaseError(f"setuptools fails in {hook}:\n{(done.stderr or done.stdout)[-3000:]}")
    return done.stdout.splitlines()[-1]


def _reproducible(sdist: Path, epoch: int) -> bytes:
    """The archive without the times of the build, and without who has built it, which setuptools writes into it."""
    packed = io.BytesIO()
    with (
        tarfile.open(sdist) as given,
        gzip.GzipFile(fileobj=packed, mode="wb", filename="", mtime=epoch) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for member in sorted(given.getmembers(), key=lambda each: each.name):
            member.mtime, member.uid, member.gid, member.uname, member.gname = epoch, 0, 0, "", ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            member.pax_headers = {}
            archive.addfile(member, given.extractfile(member) if member.isfile() else None)
    return packed.getvalue()
