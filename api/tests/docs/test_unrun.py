"""What no reader of the documents does is known by name, and is right as far as one can see without doing it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import typer

import opa.cli.commands  # noqa: F401 - it adds the commands to the application
from opa.cli.command_functions import in_session
from opa.cli.command_session import CommandSession
from opa.cli.program import app
from opa.plugins.access_keys import commands as access_keys
from opa.plugins.access_sessions import commands as access_sessions
from opa.plugins.mcp_tools import commands as mcp_tools
from opa.plugins.migrations import commands as migrations
from tests.docker.engine import COMPOSE_FILE, COMPOSE_PROD_FILE
from tests.docs.blocks import Block, blocks
from tests.docs.unrun import (
    COMPOSED,
    NOT_RUN,
    OTHERS,
    READ,
    ROOT,
    SECTIONS,
    first_words,
    is_done,
    is_settings,
    left_over,
    lines_to_type,
    variables_of,
)
from tests.settings_folder import SettingsFolder

PAGES = (*READ, *OTHERS)
NOT_DONE = [block for page in PAGES for block in blocks(page) if not is_done(block)]
NAMED_BY_PAGES = {"NAME", "shop", "restock", "report", "stock"}
"""Commands of plugins on the pages, and what stands for one."""


def path_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=path_of)
def test_each_block_that_nobody_runs_is_known_and_says_why(page: Path) -> None:
    found = {first_words(block) for block in left_over(page)}
    known = {*NOT_RUN.get(path_of(page), {})}
    assert found - known == set(), "run it (a path, or console), or say in unrun.py why not"
    assert known - found == set(), "it is gone, or is run"


def test_the_tests_that_stand_for_a_block_are_there() -> None:
    assert {*NOT_RUN} <= {path_of(page) for page in PAGES}
    reasons = {reason for of_page in NOT_RUN.values() for reason in of_page.values()}
    named = {path for reason in reasons for path in re.findall(r"\btests/[\w/]+(?:\.py)?", reason)}
    assert named
    assert [path for path in named if not (ROOT / "api" / path).exists()] == []


@pytest.mark.parametrize("block", [block for block in NOT_DONE if is_settings(block)], ids=lambda block: block.where)
def test_settings_that_are_shown_alone_are_settings(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = SettingsFolder(tmp_path, monkeypatch)
    text = block.text.replace('"sha256:..."', f'"sha256:{"0" * 64}"').replace("p=4$...", "p=4$c2FsdHNhbHQ$" + "a" * 43)
    folder.file("shown.yaml", text)
    for section in {*SECTIONS, ""} - {"default"}:
        folder.variables(ENV=section)
        folder.load()
    assert [record.getMessage() for record in caplog.records if "unknown" in record.getMessage()] == []


@pytest.mark.parametrize(
    ("page", "name", "value"),
    [(page, *pair) for page in PAGES for block in blocks(page) if not is_done(block) for pair in variables_of(block)],
    ids=lambda each: str(each)[-40:],
)
def test_variables_that_are_shown_are_settings_of_their_page(
    page: Path, name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = SettingsFolder(tmp_path, monkeypatch)
    for block in blocks(page):
        if block.path == "settings/components.yaml":
            folder.file("components.yaml", block.text)
    if name.endswith("__FILE"):
        folder.file("secret", "Z3fcqPA9mVKs")
        value = "settings/secret"
    folder.variables(**{name: value})
    folder.load()


@pytest.mark.parametrize(
    "block", [block for block in NOT_DONE if block.language == "json"], ids=lambda block: block.where
)
def test_json_that_is_shown_is_json(block: Block) -> None:
    objects, decoder = block.text.strip(), json.JSONDecoder()
    while objects:
        _, end = decoder.raw_decode(objects)
        objects = objects[end:].lstrip()


def test_compose_takes_what_is_shown_for_it(tmp_path: Path) -> None:
    if not shutil.which("docker"):
        pytest.skip("there is no docker")
    version = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False, timeout=60)
    if version.returncode:
        pytest.skip("there is no docker compose")
    shown = [
        block
        for page in PAGES
        for block in left_over(page)
        if NOT_RUN.get(path_of(page), {}).get(first_words(block)) is COMPOSED
    ]
    files = []
    for number, block in enumerate(shown):
        files.append(tmp_path / f"shown-{number}.yml")
        files[-1].write_text(block.text)
    assert len(files) == 3
    names = [word for file in (COMPOSE_FILE, COMPOSE_PROD_FILE, *files) for word in ("-f", str(file))]
    done = subprocess.run(
        ["docker", "compose", *names, "config", "--services"],
        env={"PATH": "/usr/bin:/bin:/usr/local/bin", "TRUSTED_HOSTS": "a"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "worker-slow" in done.stdout


def calls_of(line: str) -> Iterator[list[str]]:
    """The words after `opa` where a line calls it, also in a container or behind another command."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return
    for position, word in enumerate(words):
        before = words[position - 1] if position else ""
        if word == "opa" and (not position or "=" in before or before in ("api", "worker", "&&", "uvx")):
            end = next(
                (i for i, each in enumerate(words) if i > position and each in ("|", "&&", ">", "#")), len(words)
            )
            yield words[position + 1 : end]


def tree() -> dict[str, Any]:
    """The commands of opa-stack by their names, with those of its plugins, which are added when a project is loaded."""
    found = {**typer.main.get_group(app).commands}
    for module in (access_keys, access_sessions, mcp_tools, migrations):
        found |= typer.main.get_group(in_session(module.commands, cast("CommandSession", None))).commands
    return found


def mistake_in(words: list[str], commands: dict[str, Any]) -> str:
    """What is wrong with the words after `opa`, as far as commands and their options go; empty where nothing is."""
    command: Any = None
    while commands and words and not words[0].startswith("-"):
        name, *words = words
        command = commands.get(name)
        if command is None:
            return f"there is no command {name}"
        commands = getattr(command, "commands", {})
    options = {"--help", "--version"}
    for each in command.params if command is not None else ():
        options |= {*each.opts, *each.secondary_opts}
    unknown = [word for word in words if word.startswith("--") and word.partition("=")[0] not in options]
    return f"there is no option {unknown[0]}" if unknown else ""


def test_each_command_of_opa_that_is_named_exists() -> None:
    calls = [
        (where, line, words)
        for page in PAGES
        for line, where in lines_to_type(page)
        for words in calls_of(line)
        if words and words[0] not in NAMED_BY_PAGES and "…" not in words[0]
    ]
    assert len({words[0] for _, _, words in calls}) > 15
    commands = tree()
    wrong = [(where, line, mistake) for where, line, words in calls if (mistake := mistake_in(words, commands))]
    assert wrong == []


def test_each_target_of_make_that_is_named_exists() -> None:
    targets = set()
    for makefile in (ROOT / "Makefile", ROOT / "api/data/opa/scaffold/template/Makefile.tmpl"):
        for line in re.findall(r"^([a-z][\w -]*):(?!=)", makefile.read_text(), re.MULTILINE):
            targets |= {*line.split()}
    named = {
        (word, where)
        for page in PAGES
        for line, where in lines_to_type(page)
        for word in re.findall(r"(?:^|(?<!opa migrate)[ ;&])make ([a-z][a-z-]*)", line)
    }
    assert len({word for word, _ in named}) > 10
    assert [each for each in named if each[0] not in targets] == []


@pytest.mark.parametrize("words", [["tasks", "rnus"], ["taks"], ["up", "--reload-all"], ["keys", "create", "--no"]])
def test_a_command_that_does_not_exist_is_seen(words: list[str]) -> None:
    assert mistake_in(words, tree())


def test_calls_are_found_wherever_they_stand() -> None:
    assert [*calls_of("A=1 opa up && make x")] == [["up"]]
    assert [*calls_of("docker compose exec api opa check --deploy | jq .")] == [["check", "--deploy"]]
    assert [*calls_of("cd opa")] == []
