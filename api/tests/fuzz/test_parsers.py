"""Whatever our own parsers are given, they take it or refuse it as they should: no traceback, no secret, no hang."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from opa._util.watchdog import time_limit
from tests.fuzz import parser as parser_module
from tests.fuzz.inputs import UNEXPECTED, Choices
from tests.fuzz.parser import Parser, give
from tests.fuzz.parsers import PARSERS, main


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_a_parser_takes_or_refuses_whatever_it_is_given(parser: Parser) -> None:
    assert give(parser, parser.inputs).count >= parser.inputs


LONG = 200_000
"""Characters. What takes time in proportion to the square of them is not done within the limit, on any machine."""
REPEATED = (
    *(
        " ",
        "a",
        "A",
        "1",
        "_",
        ":",
        "a:",
        "//",
        "@",
        "[",
        "(",
        "'",
        '"',
        "\\",
        "=",
        "a=",
        ", ",
        "password=",
        "%61",
        "..",
    ),
    *(
        "a.",
        "\n",
        "é",
        "{",
        "1-",
        "*/",
        "a@",
        "redis://",
        "<a>",
        "Bearer ",
        "eyJ.",
        "-----BEGIN ",
        "key is ",
        "input_value=",
    ),
)
OF_CLIENTS: dict[str, Callable[[str], Any]] = {
    "request ids": str,
    "API keys": lambda text: [("authorization", f"Bearer opa_{text}")],
    "session cookies": lambda text: [f"opa-session={text}"],
    "origins of pages": lambda text: [("origin", text), ("host", text)],
    "Host": str,
    "paths to go back to": str,
    "paths in ACCESS and RATE_LIMITS": str,
    "signatures of webhooks": lambda text: ("stripe", [text], b""),
    "bodies of JSON": str.encode,
    "addresses of clients": str,
    "rates": str,
    "durations": str,
    "URLs of components": str,
    "secrets in texts": lambda text: (text, "", ""),
}


@pytest.mark.parametrize("name", OF_CLIENTS)
def test_a_long_text_takes_time_in_proportion_to_its_length(name: str) -> None:
    (parser,) = [each for each in PARSERS if each.name == name]
    for part in REPEATED:
        text = part * (LONG // len(part))
        with time_limit(parser_module.TIME_LIMIT):
            parser.parse(OF_CLIENTS[name](text.encode().decode("latin-1")))


def test_a_parser_that_raises_what_it_should_not_fails_with_the_input() -> None:
    def parse(text: str) -> None:
        if "\0" in text:
            raise KeyError(text)

    broken = Parser("broken", lambda choices: choices.text(("a",)), parse)
    with pytest.raises(KeyError) as caught:
        give(broken, 2000)
    assert any("broken was given" in note and "\\x00" in note for note in caught.value.__notes__)


def test_a_parser_that_hangs_fails_with_the_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser_module, "TIME_LIMIT", 0.3)
    endless = Parser("endless", lambda choices: "a" * 60, lambda text: re.match("(a+)+!", text))
    with pytest.raises(BaseException) as caught:
        give(endless, 1)
    assert any("endless was given" in note for note in caught.value.__notes__)


def test_by_hand_each_parser_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--count", "100", "rates", "durations"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["rates", "durations"]
    assert all(" 100 inputs in " in line for line in lines)


def test_all_kinds_of_parts_are_among_the_inputs() -> None:
    texts = [Choices(bytes([10, *[7, place] * 10])).text(("a",)) for place in range(len(UNEXPECTED))]
    assert [text[:1] for text in texts] == [part[:1] for part in UNEXPECTED]
