from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cases.place import Case, Place, all_cases


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path / "case")
    yield place
    place.kill()


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.id)
def test_each_case_ends_as_it_should(case: Case, place: Place) -> None:
    case.run(place)
