"""Fixtures of the tests that need a Docker engine."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.docker.engine import ROOT, Container, container, docker, unique


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image, built once from the working tree."""
    try:
        subprocess.run(["docker", "info"], capture_output=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"there is no Docker engine: {error}")
    name = unique("image")
    docker("build", "--quiet", "--tag", name, str(ROOT / "api"), timeout=900)
    yield name
    docker("rmi", "--force", name, check=False)


@pytest.fixture
def run(image: str, tmp_path: Path) -> Iterator[Callable[..., Container]]:
    """Run a container of the image with options of `docker run`; once a test."""
    with ExitStack() as cleanup:
        yield lambda *options, **more: cleanup.enter_context(container(image, tmp_path, *options, **more))
