from __future__ import annotations

import pytest
from packaging.requirements import Requirement

from opa.errors import PackagesError
from opa.loading.own_extras import stands_for
from tests.own_metadata import own_metadata
from tests.project import Project


@pytest.fixture(autouse=True)
def kitchen(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """An opa-stack with extras of its own."""
    own_metadata(
        project.folder / "installed",
        monkeypatch,
        kitchen=["ladle>=1,<3", 'spoon[big]; python_version < "3.0" or os_name != "nt"', 'fork; os_name == "nt"'],
        garden=["rake"],
        everything=["opa-stack[garden,kitchen]", "rake"],
    )


def told(text: str) -> list[str]:
    return [str(each) for each in stands_for(Requirement(text))]


def test_an_extra_stands_for_what_it_needs_on_any_platform() -> None:
    kitchen = [
        "ladle<3,>=1",
        'spoon[big]; python_version < "3.0" or os_name != "nt"',
        'fork; os_name == "nt"',
    ]
    assert told("opa_stack[Kitchen]>=0.1") == kitchen
    assert told("OPA.Stack[everything]") == ["rake", *kitchen]
    assert told("ladle[x]>=2") == ["ladle[x]>=2"]
    assert told("opa-stack") == []


def test_a_condition_of_a_requirement_is_one_of_what_it_stands_for() -> None:
    assert told('opa-stack[kitchen]>=0.1; sys_platform != "win32"') == [
        'ladle<3,>=1; sys_platform != "win32"',
        'spoon[big]; (python_version < "3.0" or os_name != "nt") and sys_platform != "win32"',
        'fork; os_name == "nt" and sys_platform != "win32"',
    ]
    assert told('opa-stack[garden]>=99; sys_platform == "win32"') == ['rake; sys_platform == "win32"']


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("opa-stack>=99", "'opa-stack>=99', and this is opa-stack 0"),
        ("opa-stack[cellar,garden]", "and opa-stack has no extra 'cellar'. Its extras: everything, garden, kitchen"),
    ],
)
def test_what_this_opa_stack_is_not_is_an_error(text: str, said: str) -> None:
    with pytest.raises(PackagesError) as caught:
        told(text)
    assert said in str(caught.value)
