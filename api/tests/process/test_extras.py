from __future__ import annotations

import tomllib
from pathlib import Path
from typing import get_args

import pytest

from opa.errors import StartError
from opa.process.extras import Extra, install_command, need

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_a_missing_package_is_reported_with_what_needs_it_and_the_command_that_installs_it() -> None:
    with pytest.raises(StartError) as caught:
        need("no_such_module", by="MODE=rocket", extra="local", otherwise="walk")
    assert str(caught.value) == (
        "MODE=rocket needs the package no_such_module, which is not installed."
        " Install it: pip install 'opa-stack[local]', or walk"
    )


def test_need_accepts_a_package_that_is_there() -> None:
    need("json", by="MODE=rocket", extra="local")


@pytest.mark.parametrize("extra", get_args(Extra))
def test_each_command_names_an_extra_that_the_package_has(extra: Extra) -> None:
    project = tomllib.loads(PROJECT.read_text())["project"]
    assert extra in project["optional-dependencies"]
    assert install_command(extra) == f"pip install '{project['name']}[{extra}]'"
