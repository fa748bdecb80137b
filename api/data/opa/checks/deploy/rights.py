"""What an attacker could change who gets to run code in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from opa.checks.deploy.check import Deployment
from opa.checks.finding import Finding
from opa.settings.config import FOLDER_SETTING

ROOT = Path("/")


def runs_as_root(deployment: Deployment) -> Iterator[Finding]:
    """Whether this is root, inside of a container as well."""
    if os.geteuid() == 0:
        yield Finding(
            "the process runs as root",
            where="user 0",
            hint="Use another user; the image has one, unless `user` or `docker run --user` names root",
        )


def writable_root(deployment: Deployment) -> Iterator[Finding]:
    """Whether programs and libraries can be replaced."""
    if os.access(ROOT, os.W_OK):
        yield Finding(
            "the process can write to the root of the file system",
            where=str(ROOT),
            hint="Mount it read-only: `read_only: true` in Compose, readOnlyRootFilesystem in Kubernetes",
        )


def writable_code(deployment: Deployment) -> Iterator[Finding]:
    """Whether what is run at the next start can be replaced: plugins, and settings in Python."""
    folders = [*deployment.manager.folders, Path(deployment.config[FOLDER_SETTING])]
    for folder in dict.fromkeys(folders):
        if folder.is_dir() and os.access(folder, os.W_OK):
            yield Finding(
                "the process can write to a folder whose code it runs",
                where=str(folder),
                hint="Mount it read-only, or give it to another user",
            )
