"""Whether this process runs in a container, which has a network and a file system of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))


def is_in_container(environ: Mapping[str, str]) -> bool:
    """As Docker, Podman, systemd and Kubernetes tell it.

    Args:
        environ: the environment variables.
    """
    if any(mark.exists() for mark in _MARKS):
        return True
    # systemd's convention, https://systemd.io/CONTAINER_INTERFACE/, hence in lower case
    return bool(environ.get("container") or environ.get("KUBERNETES_SERVICE_HOST"))
