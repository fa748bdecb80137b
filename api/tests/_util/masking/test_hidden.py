from __future__ import annotations

import pytest

from opa._util.masking.hidden import hide, mask_hidden
from opa._util.masking.secrets import mask_setting, mask_text, masked_argument, may_hold_secret
from opa.errors import SettingsError


@pytest.mark.parametrize(
    ("hidden", "text", "masked"),
    [
        ("hunter2", "the word hunter2 is wrong", "the word *** is wrong"),
        ("hunter2", "'hunter2'", "'***'"),
        ("hunter2", "HUNTER2 Hunter2", "*** ***"),
        ("hunter2\n", "hunter2", "***"),
        ("hun\nter", repr("hun\nter"), "'***'"),
        ("hun\"t'er", repr("hun\"t'er"), "'***'"),
        ("hun\"t'er", '"hun\\"t\'er"', '"***"'),
        ("hünter", '"h\\u00fcnter"', '"***"'),
        ("hünter", ascii("hünter"), "'***'"),
        ("hünter", repr("hünter".encode()), "b'***'"),
        # letters of which the lower one is several, or depends on what is beside it
        ("İstanbul-geheim", "İstanbul-geheim is wrong", "*** is wrong"),
        ("İstanbul-geheim", "istanbul-geheim is wrong", "*** is wrong"),
        ("ΜΥΣΤΙΚΟΣ ΟΔΟΣ", "aΜΥΣΤΙΚΟΣ ΟΔΟΣb", "a***b"),
        ("μυστικος οδος", "ΜΥΣΤΙΚΟΣ ΟΔΟΣ", "***"),
        # no text is a pattern
        ("(a+)+$.*", "(a+)+$.* and aaaa", "*** and aaaa"),
        ("[a-z]{9}", "password [a-z]{9}", "password ***"),
        ("hunter2, hunter3", "hunter3 is wrong", "*** is wrong"),
        ('["hunter2"]', "hunter2 is wrong", "*** is wrong"),
        ("a.example:80", "connect to a.example:8000", "connect to ***00"),
        ("redis://:p%40ss@host/0", "no access with p@ss", "no access with ***"),
        ("redis://[broken", "redis://[broken", "***"),
        # a short one is looked for as a word
        ("info", "information is info", "information is ***"),
        ("info", r"\ninfo\n", r"\n***\n"),
        ("longenough", "alongenoughb", "a***b"),
        # what may be in any text by chance
        ("abc", "abc", "abc"),
        ("true", "it is true", "it is true"),
        ("None", "it is None", "it is None"),
        ("shop.till:pay", "module shop is gone", "module shop is gone"),
    ],
)
def test_a_hidden_value_is_masked_in_any_text(hidden: str, text: str, masked: str) -> None:
    hide(hidden)

    assert mask_text(text) == masked


def test_parts_of_an_import_string_are_masked() -> None:
    hide("shop.till:Payment", is_imported=True)

    assert mask_text("'shop' has no 'till', shop.till no Payment") == "'***' has no '***', *** no ***"


def test_all_that_was_hidden_stays_hidden() -> None:
    hide("hunter2")
    hide("correct horse")

    assert mask_text("hunter2, correct horse") == "***, ***"


def test_structures_and_settings_are_masked() -> None:
    hide("hunter2")

    assert masked_argument({"a": ["hunter2"], "b": 1}) == {"a": ["***"], "b": 1}
    assert mask_setting("MINE", "<hunter2>") == "<***>"


def test_no_part_of_an_error_shows_a_hidden_value() -> None:
    hide("hunter2")
    error = SettingsError("hunter2", where="at hunter2", hint="Not hunter2", mistakes=("a hunter2",))

    assert "hunter2" not in f"{error} {error!r} {error.where} {error.hint} {error.mistakes}"
    assert str(error) == "*** (at ***). Not ***"


def test_a_text_that_was_harmless_is_masked_once_its_secret_is_hidden() -> None:
    text = "the word is hunter2"
    assert not may_hold_secret(text)
    hide("hunter2")

    assert mask_text(text) == "the word is ***"


def test_a_text_without_it_is_the_same_object() -> None:
    hide("hunter2")
    text = "a text of no interest"

    assert mask_hidden(text) is text


def test_a_file_of_many_lines_is_looked_for_as_a_whole() -> None:
    lines = "\n".join(f"line {number}" for number in range(100))
    hide(lines)

    assert mask_text(f"<{lines}> line 7") == "<***> line 7"
