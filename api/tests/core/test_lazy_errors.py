from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from opa import Driver, lazy_errors
from opa.core.blame import failed_components
from opa.core.drivers import is_outage, is_permanent
from tests.project import Project


def test_errors_are_imported_when_they_are_first_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "errors_of_client.py").write_text("class GoneError(Exception): pass\nALL = (GoneError, OSError)\n")
    monkeypatch.syspath_prepend(tmp_path)

    class Client(Driver):
        name = "client"
        connection_errors = lazy_errors("errors_of_client:ALL", "builtins:ValueError")

    assert "errors_of_client" not in sys.modules
    assert [error.__name__ for error in Client.connection_errors] == ["GoneError", "OSError", "ValueError"]
    assert Client().connection_errors is Client.connection_errors


@pytest.mark.parametrize("errors", ["lazy_errors('builtins:OSError')", "(OSError,)"])
def test_a_driver_with_either_kind_of_errors_is_registered(project: Project, errors: str) -> None:
    project.plugin(
        "line.py",
        f"""
        from opa import Driver, lazy_errors

        class Line(Driver):
            name = "line"
            connection_errors = {errors}
        """,
    )
    line: Any = project.prepare().drivers["line"]
    assert line.connection_errors == (OSError,)


def test_an_error_is_not_compared_with_those_of_a_client_that_nothing_has_imported() -> None:
    """The client may not be installed, and a task that failed did so with that instead of its own error."""

    class Client(Driver):
        name = "client"
        connection_errors = lazy_errors("no_such_client:GoneError")
        permanent_errors = lazy_errors("no_such_client:WrongError", "builtins:ValueError")

    error, driver = LookupError("mine"), Client()
    assert not is_outage(error, driver)
    assert not is_permanent(error, driver)
    assert failed_components(error, [driver]) == []
