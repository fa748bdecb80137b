"""Fixtures of the tests of serving."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serve.process import Opa, opa_in


@pytest.fixture
def opa(tmp_path: Path) -> Iterator[Opa]:
    """A project folder in which `opa start` can be run."""
    with opa_in(tmp_path) as opa:
        yield opa
