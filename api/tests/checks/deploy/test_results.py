from __future__ import annotations

from collections.abc import Iterator

import pytest

from opa.checks.deploy.check import DeployCheck, Deployment, Level, NotChecked
from opa.checks.deploy.results import UNKNOWN, run_checks
from opa.checks.finding import Finding
from opa.errors import SettingsError
from tests.project import Project


def finds(deployment: Deployment) -> Iterator[Finding]:
    yield Finding("it is so", where="here", hint="Change it")


def cannot_look(deployment: Deployment) -> Iterator[Finding]:
    yield NotChecked("nobody knows", where="there", hint="Look")


CHECKS = [DeployCheck("deploy.one", Level.ERROR, finds), DeployCheck("deploy.two", Level.ERROR, cannot_look)]


def test_a_finding_has_the_level_of_its_check_and_a_thing_that_was_not_looked_at_is_a_note(project: Project) -> None:
    results = list(run_checks(CHECKS, Deployment(project.prepare(), {})))

    assert [str(result) for result in results] == [
        "error: deploy.one: it is so (here). Change it",
        "note: deploy.two: nobody knows (there). Look",
    ]
    assert [result.counts(Level.WARNING) for result in results] == [True, False]
    assert [result.counts(Level.NOTE) for result in results] == [True, True]


def test_a_silenced_result_keeps_its_reason_and_does_not_count(project: Project) -> None:
    project.settings(CHECK_SILENCED={"deploy.one": "internal network"})

    result, _ = run_checks(CHECKS, Deployment(project.prepare(), {}))

    assert result.silenced == "internal network"
    assert not result.counts(Level.NOTE)


def test_an_id_that_does_not_exist_is_reported_with_the_one_that_is_meant(project: Project) -> None:
    project.settings(CHECK_SILENCED={"deploy.onee": "internal network"})

    *_, last = run_checks(CHECKS, Deployment(project.prepare(), {}))

    assert "CHECK_SILENCED has 'deploy.onee'" in str(last)
    assert "Did you mean 'deploy.one'?" in str(last)


def test_a_reason_is_needed(project: Project) -> None:
    project.settings(CHECK_SILENCED={"deploy.one": ""})

    with pytest.raises(SettingsError, match=r"CHECK_SILENCED\.deploy\.one.*should not be empty"):
        project.prepare()


def test_an_id_is_silenced_in_any_case(project: Project) -> None:
    project.settings(CHECK_SILENCED={"DEPLOY.One": "internal network"})

    result, _ = run_checks(CHECKS, Deployment(project.prepare(), {}))

    assert result.silenced == "internal network"


def test_a_finding_about_an_unknown_id_in_check_silenced_cannot_be_silenced(project: Project) -> None:
    project.settings(CHECK_SILENCED={UNKNOWN: "no", "deploy.three": "internal network"})

    *_, unknown, three = run_checks(CHECKS, Deployment(project.prepare(), {}))

    assert f"has '{UNKNOWN}', which cannot be silenced" in str(unknown)
    assert "has 'deploy.three', and there is no such check" in str(three)
    assert [unknown.silenced, three.silenced] == [None, None]
