"""The image of opa-stack: packages are installed when another image is built on it, and not in a container."""

from __future__ import annotations

from pathlib import Path

PIP = Path("/opt/pip.whl")
"""What the image has of pip: a file, by which `opa deps install` runs it, and no command."""
FOLDER = "/packages"
"""Its `PACKAGES_DIR`."""


def is_image() -> bool:
    """Whether this process runs in it, or in an image that is built on it."""
    return PIP.is_file()
