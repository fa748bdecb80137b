"""What the reader of pages lets pass, and what not."""

from __future__ import annotations

import pytest

from tests.docs.blocks import Block
from tests.docs.console import Command, Shell, commands
from tests.docs.curl import Call
from tests.docs.page import ProjectReader
from tests.project import Project

ID, OTHER = "6744e7c04c4b8d1f2a9b3c5d", "0123456789abcdef01234567"
UUID, OTHER_UUID = "0f8fad5b-d9cb-469f-a165-70867728950e", "7c9e6679-7425-40de-944b-e07fc1f90ae7"


def is_expected(expected: str, printed: str) -> bool:
    return Shell().is_expected(Command("anything", expected, "page.md:1"), printed)


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ("1", "1\n"),
        ('{"a":...}', '{"a":[1,\n2]}'),
        ("name loaded", "name      loaded"),
        ("", "anything"),
        (f'"{ID}" and "{ID}"', f'"{OTHER}" and "{OTHER}"'),
        (f'"{UUID}" and "{UUID}"', f'"{OTHER_UUID}" and "{OTHER_UUID}"'),
    ],
)
def test_output_fits_with_ellipses_other_spaces_and_one_id_for_another(expected: str, printed: str) -> None:
    assert is_expected(expected, printed)


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ("1", "11"),
        ("1...", "21"),
        ("a.c", "abc"),
        ("...loaded...", "skipped"),
        (f'"{ID}"', '"an-id"'),
        (f'"{ID}" and "{ID}"', f'"{OTHER}" and "{ID}"'),
        (f'"{UUID}" and "{UUID}"', f'"{OTHER_UUID}" and "{UUID}"'),
        (f'"{UUID}"', f'"{ID}"'),
    ],
)
def test_output_that_differs_in_text_or_repeats_an_id_otherwise_does_not_fit(expected: str, printed: str) -> None:
    assert not is_expected(expected, printed)


def test_an_id_stands_for_the_one_that_was_printed_first() -> None:
    shell = Shell()
    assert shell.is_expected(Command("create", ID, "page.md:1"), OTHER)
    assert not shell.is_expected(Command("show", ID, "page.md:2"), ID)
    assert shell.words(Command(f"id={ID}", "", "page.md:3")) == ({"id": OTHER}, [])
    assert shell.words(Command('curl "/books/$id"', "", "page.md:4")) == ({}, ["curl", f"/books/{OTHER}"])


def test_commands_and_what_they_print_are_told_apart() -> None:
    block = Block("console", None, "$ curl \\\n  /one\n1\n2\n$ A=b opa plugins\n", "page.md:1")
    one, two = commands(block)
    assert (one.text, one.expected) == ("curl    /one", "1\n2")
    assert Shell().words(two) == ({"A": "b"}, ["opa", "plugins"])


def test_curl_sends_what_its_options_say() -> None:
    call = Call.parse(["-i", "-X", "PUT", "--json", "{}", "-H", "X-Who: me", "localhost:8000/a?b=c"])
    assert (call.method, call.path, call.content) == ("PUT", "/a?b=c", "{}")
    assert call.headers == {"content-type": "application/json", "x-who": "me"}
    assert call.prints_headers


@pytest.mark.parametrize("words", [["--compressed", "localhost:8000/"], ["https://example.com/"]])
def test_a_curl_that_the_reader_cannot_do_is_an_error(words: list[str]) -> None:
    with pytest.raises(AssertionError, match="curl"):
        Call.parse(words)


def test_a_page_that_does_not_do_what_it_says_fails_with_file_and_line(project: Project) -> None:
    page = project.plugin("page.md", '# Page\n\n```console\n$ curl localhost:8000/healthz\n"bad"\n```\n', folder=".")
    with pytest.raises(AssertionError, match=r"page\.md:3: \$ curl localhost:8000/healthz\nprints\n"):
        ProjectReader(project).read(page)


def test_a_program_that_the_reader_does_not_know_is_an_error(project: Project) -> None:
    page = project.plugin("page.md", "# Page\n\n```console\n$ podman ps\n```\n", folder=".")
    with pytest.raises(AssertionError, match="does not know how to run podman ps"):
        ProjectReader(project).read(page)


def test_what_a_command_prints_is_put_into_a_variable() -> None:
    shell = Shell()
    shell.words(Command("body='a b'", "", "page.md:1"))
    assert shell.words(Command('length=$(printf %s "$body" | wc -c)', "", "page.md:2")) == ({}, [])
    assert shell.words(Command('curl "/$length"', "", "page.md:3")) == ({}, ["curl", "/3"])
