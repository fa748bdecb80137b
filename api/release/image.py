"""The image: built with the labels of OCI, and packed into a file that `docker load` reads."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from release.problem import ReleaseError
from release.tree import Tree

_LABEL = "org.opencontainers.image."


def has_docker() -> bool:
    """Whether a Docker engine answers."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0  # noqa: S607


def build_image(tree: Tree, version: str, work: Path) -> str:
    """Build the image of this version, and give its name.

    Args:
        work: an empty folder.

    Raises:
        ReleaseError: the build fails.
    """
    tree.export(work, "api", "docs")
    name = f"opa-stack:{version}"
    created = datetime.fromtimestamp(tree.epoch, UTC).isoformat().replace("+00:00", "Z")
    labels = {"created": created} | ({"source": tree.source, "url": tree.source} if tree.source else {})
    docker(
        *("build", "--quiet", "--tag", name, "--build-context", f"docs={work / 'docs'}"),
        *("--build-arg", f"VERSION={version}", "--build-arg", f"REVISION={tree.revision}"),
        *(word for key, value in labels.items() for word in ("--label", f"{_LABEL}{key}={value}")),
        str(work / "api"),
    )
    return name


def save_image(name: str, file: Path) -> None:
    """Write the image into `file`, compressed.

    Raises:
        ReleaseError: Docker fails.
    """
    with (
        subprocess.Popen(["docker", "save", name], stdout=subprocess.PIPE) as saving,  # noqa: S603, S607 - of fixed words
        gzip.GzipFile(file, "wb", compresslevel=6, mtime=0) as packed,
    ):
        assert saving.stdout is not None  # noqa: S101 - it is a pipe
        shutil.copyfileobj(saving.stdout, packed, 1 << 20)
    if saving.returncode:
        raise ReleaseError(f"docker save {name} fails")


def docker(*arguments: str) -> str:
    """What a command of Docker prints.

    Raises:
        ReleaseError: it fails.
    """
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607 - as above
    if done.returncode:
        raise ReleaseError(f"docker {arguments[0]} fails:\n{done.stderr[-3000:]}")
    return done.stdout
