"""What a text is asked first, which ends the look at most of them, lets no secret through."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opa._util.masking import quick
from opa._util.masking import text as text_module
from opa._util.masking.secrets import MASK, looks_secret, mask_text, may_hold_secret
from opa._util.masking.shapes import mask_shapes
from opa.logging.arguments import std_message
from tests._util.masking.planted import INNOCENT, PLANTED, TOKENS

VALUE = "hunter22-and-more"
PARTS = """password pass Pwd key api_key token secret cred auth Authorization cookie DSN sig input loc input_value
Bearer Basic Negotiate ApiKey = : , => -- ; & ? # % %61 @ / :// http redis \\n \\ ' ( ) [ ] { } . ~ - _ $ $2b$ a 1 q7
hunter22 ghp_ sk- whsec_ eyJ AKIA xox hook hooks.slack.com/services/ PRIVATE ----- BEGIN -us1 Q~ :AA ß ſ ı é \ud800
PASSWORD passphrase keys Keys KEYs X APIKEY credent ials authorı zation authorization AUTH basic_auth Sig nature
signature %4B 50% input_ 'input' user@"""
NAMES = """pass Pass PASS passw ord Word PASSWD passphrase pa ß ſ ı pwd PWD key Key KEY keys Keys apikey apı API api
access _ - . 1 2 X x é token Token secret credent ial cred auth Auth AUTH authorization orization basic proxy http dsn
DSN sig Sig SIG signature nature cookie Set-Cookie word monkey or"""
RANDOM = "q7Rk2Vx9Lm4Tz8Wb3Nc6Yd1H"


@pytest.mark.parametrize(
    "text",
    [
        f"sent Bearer {RANDOM}",
        "sent Basic dXNlcjpwYXNzd29yZA",
        f"sent Negotiate {RANDOM}",
        f"sent ApiKey {RANDOM}",
        f"www-authenticate: Negotiate {RANDOM}",
        "signed with whsec_MfKQ9r8GKY+qrTwjUPD8ILPZIo2LaLaSw and no other",
        "signed with whsec_Mf/Q9r8GKY+qrTwjUPD8/LPZIo2LaL+Sw and no other",
        f"it is ~ghp_{RANDOM}{RANDOM[:12]}",
        f"x~ghp_{RANDOM}{RANDOM[:12]}",
        f"it has the token {RANDOM} and goes on",
        f"run with --password {VALUE} and go on",
        f"run with --password\t{VALUE}",
        f"password={VALUE}",
        f"password:{VALUE}",
        f"ALTER USER mary PASSWORD '{VALUE}'",
        f"create role mary login password E'it''s {VALUE}' valid until '2030-01-01'",
        f"('Authorization', '{VALUE}')",
        f"{{'password' => '{VALUE}'}}",
        f"access_token={VALUE}",
        f"api_key={VALUE}",
        f"client_secret={VALUE}",
        f"credential={VALUE}",
        f"/orders?sig={VALUE}",
        f"/orders?p%61ssword={VALUE}",
        f"redis://:{VALUE}@cache/0",
        f"input_value='{VALUE}', input_type=str",
        f"$2b$12${RANDOM}{RANDOM}",
        "$2b$12$q7Rk2Vx9Lm/4Tz8Wb3Nc6/Yd1Hf5Jg0P",
        f"<password>{VALUE}</password>",
        f"<wsse:Password Type='text'>{VALUE}</wsse:Password>",
        f"the password is {VALUE}2 now",
        f"the token is '{RANDOM}'",
        f"input_value='a, input_type={VALUE}', input_type=str]",
        f"https://{RANDOM}@example.org/x",
    ],
)
def test_each_way_to_tell_a_secret_is_asked_for_by_itself(text: str) -> None:
    assert MASK in mask_text(text)
    assert VALUE not in mask_text(text)
    assert RANDOM not in mask_text(text)
    assert may_hold_secret(text)


@pytest.mark.parametrize("name", TOKENS)
@pytest.mark.parametrize(
    "around",
    [
        "{}",
        "it is {} here",
        "größer {} ist",
        "\udc80 {}",
        "=:, {}",
        "a/{}",
        "a-word-of-twenty-letters {}",
        "a-word-of-twenty-letters={}",
        "({}),",
    ],
)
def test_a_secret_is_known_by_its_shape_whatever_is_around_it(name: str, around: str) -> None:
    text = around.format(TOKENS[name])
    assert TOKENS[name] not in mask_text(text)
    assert may_hold_secret(text)


@pytest.mark.parametrize("text", [*(text for text, _ in PLANTED.values()), *INNOCENT])
def test_a_text_that_can_hold_no_secret_stays_as_it_is(text: str) -> None:
    for inside in (text, repr({"a": [text]}), f"{text}\n{text}"):
        if not may_hold_secret(inside):
            assert mask_text("".join(inside)) == inside


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_secret_is_never_overlooked(name: str) -> None:
    text, _ = PLANTED[name]
    assert may_hold_secret(text)
    assert may_hold_secret(repr([{"a": text}]))


class _ShowsValuesAlone(Mapping[str, str]):
    """Prints no name, by which one could tell a secret in its text."""

    def __init__(self, **values: str) -> None:
        self._values = values

    def __getitem__(self, key: str) -> str:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return " ".join(self._values.values())


class _Login(NamedTuple):
    user: str
    word: str


def message_of(message: Any, *arguments: Any) -> str:
    return std_message(logging.LogRecord("plugin", logging.INFO, "plugin.py", 1, message, arguments, None))


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("it is %(password)s", ({"password": VALUE},)),
        ("it is %(password)s and %(user)s", ({"password": VALUE, "user": "mary"},)),
        ("it is %s", ({"password": VALUE},)),
        ("%s has %s", ("mary", {"password": VALUE})),
        ("it is %s", ([("password", VALUE)],)),
        ("it is %r", ([{"deep": {"password": (VALUE,)}}],)),
        ("it is %s", (_ShowsValuesAlone(password=VALUE),)),
        ("%s has %s", ("mary", _ShowsValuesAlone(password=VALUE))),
        ("%s has %s", ({"a": 1}, _ShowsValuesAlone(password=VALUE))),
        ({"password": VALUE}, ()),
        (_ShowsValuesAlone(password=VALUE), ()),
    ],
)
def test_an_argument_that_says_that_something_is_secret_is_masked(message: Any, arguments: tuple[Any, ...]) -> None:
    assert VALUE not in mask_text(message_of(message, *arguments))


@pytest.mark.parametrize(
    ("message", "arguments", "text"),
    [
        ("it is 100 %", (), "it is 100 %"),
        ("%s of %d", ("a", 5), "a of 5"),
        ("%s", ({"rows": 120, "to": ["a"]},), "{'rows': 120, 'to': ['a']}"),
        ("%(rows)d rows", ({"rows": 120},), "120 rows"),
        ("%s", ([1, 2.5, None],), "[1, 2.5, None]"),
        ("%s %s", ("a", {"b"}), "a {'b'}"),
        (5, (), "5"),
        ("%s", (_Login("mary", "word"),), "_Login(user='mary', word='word')"),
    ],
)
def test_a_message_without_secrets_is_as_the_standard_library_has_it(
    message: Any, arguments: tuple[Any, ...], text: str
) -> None:
    assert message_of(message, *arguments) == text
    assert mask_text(text) == text


def test_a_text_that_can_hold_no_secret_hides_no_other() -> None:
    text = message_of("it is %s", {"rows": 120})
    assert mask_text(text) is text
    assert VALUE not in mask_text(f"password={VALUE}")
    assert mask_text(text) is text


@settings(max_examples=1000, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [*PARTS.split(), " ", " is ", "</", "\n", *TOKENS.values(), *(text for text, _ in PLANTED.values())]
        ),
        max_size=8,
    )
)
def test_the_quick_look_overlooks_nothing_that_the_close_one_finds(parts: list[str]) -> None:
    text = "".join(parts)
    assert mask_text(text) == mask_shapes(text_module._mask_by_place(text))


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.sampled_from(NAMES.split()), min_size=1, max_size=5).map("".join))
def test_the_quick_look_at_a_printed_value_overlooks_no_telling_name(name: str) -> None:
    if looks_secret(name):
        assert may_hold_secret(repr([{name: VALUE}]))
        assert not name.isascii() or may_hold_secret(repr([(name.encode(), b"")]))


@pytest.mark.parametrize(
    "text",
    [
        "3 tests passed, 1 failed",
        "author: mary, authors=2, passengers: 3",
        "design=new, signal: 15",
        "keyword=x, keyspace: y",
        '10.0.0.7:51622 - "GET /orders HTTP/1.1" 401 Unauthorized',
        "HTTP Request: GET https://api.example.org/orders?page=2 200",
        "50 % of it is done: ok",
        "the input is: 5",
    ],
)
def test_the_quick_look_is_the_only_one_at_what_is_a_little_like_a_name(text: str) -> None:
    assert not may_hold_secret(text)


def test_the_expression_of_the_quick_look_is_short_enough_to_be_quick() -> None:
    assert len(text_module.MAY_HOLD_SECRET.encode()) <= quick.LONGEST


@pytest.mark.parametrize("arguments", [("a", 5), ({"a": 1}, 5)])
def test_a_record_of_another_class_makes_its_text_itself(arguments: tuple[Any, ...]) -> None:
    in_braces = type("InBraces", (logging.LogRecord,), {"getMessage": lambda self: self.msg.format(*self.args)})
    record = in_braces("plugin", logging.INFO, "plugin.py", 1, "{} of {}", arguments, None)
    assert std_message(record) == f"{arguments[0]} of 5"


@pytest.mark.parametrize(
    "text", ["password=hunter22\ud800", "pa\N{LATIN SMALL LETTER SHARP S}word=hunter22", "PWD=größe1"]
)
def test_characters_outside_of_ascii_hide_no_secret(text: str) -> None:
    assert MASK in mask_text(text)
    assert may_hold_secret(text)
