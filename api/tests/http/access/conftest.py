from __future__ import annotations

import fastapi
import pytest

from tests.project import Project


@pytest.fixture(params=["index", "fallback"])
def routed(request: pytest.FixtureRequest, project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose routes are found by the index, and once more by FastAPI itself."""
    if request.param == "fallback":
        monkeypatch.setattr(fastapi, "__version__", "0.999.0")
    return project
