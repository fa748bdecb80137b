"""The clone: what is committed, when, and a copy of its files that is the same on each machine."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from release.problem import ReleaseError

LATEST = 2**32 - 1
"""Seconds since 1970, as gzip writes them."""


@dataclass(frozen=True)
class Tree:
    """The files of a clone.

    Attributes:
        root: its folder.
        revision: the commit; with `-dirty` where files differ from it.
        epoch: seconds since 1970 of the commit, for all that would otherwise have the time of the build.
        source: the address of the repository, if it is one that others can use; empty otherwise.
    """

    root: Path
    revision: str
    epoch: int
    source: str

    def export(self, folder: Path, *below: str) -> None:
        """Copy the files that git knows, with the time of the commit and modes that do not depend on who builds.

        Raises:
            ReleaseError: a name cannot be written down everywhere, or a link leads out of the clone.
        """
        listed = _git(self.root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *below)
        for name in filter(None, listed.split("\0")):
            source, target = self.root / name, folder / name
            if not name.isprintable():
                raise ReleaseError(f"{name!r} has characters that no file of a release may have in its name")
            if not source.is_file():  # deleted, and not yet committed
                continue
            if not source.resolve().is_relative_to(self.root.resolve()):
                raise ReleaseError(f"{name} leads out of the clone, to {source.resolve()}")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
            target.chmod(0o755 if os.access(source, os.X_OK) else 0o644)
            os.utime(target, (self.epoch, self.epoch))


def tree_at(root: Path, *, allow_dirty: bool = False) -> Tree:
    """The clone at `root`.

    Args:
        root: a folder with `.git`.
        allow_dirty: whether files may differ from the commit.

    Raises:
        ReleaseError: they do, and may not; or it is no clone, or its commit has no time that can be written down.
    """
    changed = [line for line in _git(root, "status", "--porcelain").splitlines() if line]
    if changed and not allow_dirty:
        shown = "\n".join(changed[:10] + (["…"] if len(changed) > 10 else []))
        raise ReleaseError(
            f"files differ from the commit:\n{shown}\nCommit them, or try the build with ARGS=--allow-dirty"
        )
    revision = _git(root, "rev-parse", "HEAD").strip() + ("-dirty" if changed else "")
    epoch = int(_git(root, "show", "--no-patch", "--format=%ct", "HEAD"))
    if not 0 <= epoch <= LATEST:
        raise ReleaseError(f"the commit has a time that no archive can have: {epoch} seconds since 1970")
    return Tree(
        root, revision, epoch, public_address(_git(root, "config", "--default", "", "remote.origin.url").strip())
    )


def public_address(url: str) -> str:
    """An address that says nothing of a machine or of whoever builds: one by HTTPS, without a user."""
    if url.startswith("git@") and ":" in url:
        host, _, path = url.removeprefix("git@").partition(":")
        url = f"https://{host}/{path}"
    if not url.startswith("https://"):
        return ""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path.removesuffix('.git')}"


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=False)  # noqa: S603, S607 - of fixed words
    if done.returncode:
        raise ReleaseError(f"git {arguments[0]}: {os.fsdecode(done.stderr).strip() or 'failed'}")
    return os.fsdecode(done.stdout)  # a name may have any bytes
