from __future__ import annotations

import json

import pytest

from opa.errors import StartError
from opa.serve.mode import chosen_mode
from tests.serve.process import Opa


@pytest.mark.parametrize("environ", [{}, {"MODE": ""}, {"MODE": "api"}, {"MODE": " API "}])
def test_api_is_the_mode_without_another(environ: dict[str, str]) -> None:
    assert chosen_mode(environ) == "api"


def test_an_unknown_mode_is_refused_with_the_modes_that_there_are() -> None:
    with pytest.raises(StartError, match=r"^there is no mode 'rocket' \(environment variable MODE\)\. .*api"):
        chosen_mode({"MODE": "rocket"})


def test_the_command_ends_with_one_line_over_an_unknown_mode(opa: Opa) -> None:
    assert opa.run_to_end(MODE="rocket") == 1
    assert opa.log.count("\n") == 1
    assert opa.log.startswith("error: there is no mode 'rocket'")


def test_an_unknown_mode_is_reported_before_mistakes_in_settings(opa: Opa) -> None:
    assert opa.run_to_end(MODE="rocket", OPA_PORT="harbour") == 1
    assert "there is no mode" in opa.log


def test_the_command_tells_all_that_lets_strangers_in_a_line_of_json_each(opa: Opa) -> None:
    opa.hello()
    variables = {"OPA_DEBUG": "true", "OPA_DEBUGPY": "true", "OPA_DEBUGPY_HOST": "0.0.0.0", "OPA_LOG_FORMAT": "json"}

    assert opa.run_to_end(ENV="production", **variables) == 1

    lines = [json.loads(line) for line in opa.log.splitlines()]
    assert [line["extra"]["id"] for line in lines] == ["deploy.debug", "deploy.debugger"]
    assert {line["level"] for line in lines} == {"ERROR"}
    assert lines[0]["extra"]["where"] == "environment variable OPA_DEBUG"
    assert "deploy.debug to CHECK_SILENCED with a reason" in lines[0]["extra"]["hint"]


def test_an_open_door_that_check_silenced_accepts_keeps_no_process_from_starting(opa: Opa) -> None:
    opa.hello()
    opa.start(ENV="production", OPA_DEBUG="true", OPA_CHECK_SILENCED='{"deploy.debug": "nobody else reaches it"}')

    opa.wait_until_ready()
