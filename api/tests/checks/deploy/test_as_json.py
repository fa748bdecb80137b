from __future__ import annotations

import json

from opa.checks.deploy.as_json import error_as_json, results_as_json
from opa.checks.deploy.check import Level
from opa.checks.deploy.results import Result
from opa.checks.finding import Finding
from opa.errors import PluginPathError, SettingsError

URL = "redis://:0e1a2b3c4d5e@cache"


def test_a_password_is_shown_in_no_text() -> None:
    finding = Finding(f"problem at {URL}", where=f"where {URL}", hint=f"hint {URL}")

    text = results_as_json([Result("deploy.one", Level.ERROR, finding, f"reason {URL}")])

    assert "0e1a2b3c4d5e" not in text
    assert json.loads(text) == [
        {
            "id": "deploy.one",
            "level": "error",
            "problem": "problem at redis://:***@cache",
            "where": "where redis://:***@cache",
            "hint": "hint redis://:***@cache",
            "silenced": "reason redis://:***@cache",
            "stops_start": False,
        }
    ]


def test_an_error_has_the_form_of_a_finding() -> None:
    (entry,) = json.loads(error_as_json(PluginPathError("it is not there", where="/plugins")))

    assert entry == {
        "id": "deploy.mistake",
        "level": "error",
        "problem": "it is not there",
        "where": "/plugins",
        "hint": None,
        "silenced": None,
        "stops_start": True,
    }


def test_each_mistake_in_the_settings_is_told() -> None:
    entries = json.loads(error_as_json(SettingsError("2 mistakes", mistakes=("PORT: no", "HOST: no"))))

    assert [entry["problem"] for entry in entries] == ["PORT: no", "HOST: no"]
