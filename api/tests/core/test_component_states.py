from __future__ import annotations

import pytest

from opa import get_instance
from opa.errors import ComponentUnavailableError, RegistrationError
from tests.project import Project


def test_an_unknown_driver_is_an_error_that_names_the_component_and_the_drivers(project: Project) -> None:
    project.component("THING", "redis-wallrus")
    with pytest.raises(RegistrationError, match="component 'thing' asks for the driver 'redis-wallrus'.*redis-walrus"):
        project.prepare()


def test_before_the_start_a_component_says_that_it_is_not_connected_yet(project: Project) -> None:
    project.plugin("fake.py", 'from opa import Driver\n\nclass Fake(Driver):\n    name = "fake"\n')
    project.component("THING", "fake")
    project.prepare()
    with pytest.raises(ComponentUnavailableError, match="component 'thing' is not connected yet"):
        get_instance("thing")


def test_a_component_whose_driver_is_skipped_says_so(project: Project) -> None:
    project.settings(PLUGIN_FAILURE="skip")
    project.plugin("fake.py", "raise ValueError")
    project.component("THING", "fake")
    state = project.prepare().component_states["thing"]
    assert state.driver is None
    assert str(state) == "not loaded: no plugin that is in has its driver 'fake'; skipped: 'fake'"
