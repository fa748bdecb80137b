"""Fixtures of the tests that need a Docker engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.docker.engine import Container, container


@pytest.fixture
def run(image: str, tmp_path: Path) -> Iterator[Callable[..., Container]]:
    """Run a container of the image with options of `docker run`; once a test."""
    with ExitStack() as cleanup:
        yield lambda *options, **more: cleanup.enter_context(container(image, tmp_path, *options, **more))
