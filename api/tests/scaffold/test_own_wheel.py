"""Where opa-stack came from no index, `opa new` says how its wheel gets into the project, and the Makefile finds it."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, PathDistribution
from pathlib import Path
from typing import Any

import pytest

import opa
from opa.scaffold import own_wheel
from opa.scaffold.own_wheel import command_for_own_wheel
from opa.scaffold.project import make_project

COMMIT = "3f2a" * 10
WHEEL = f"opa_stack-{opa.__version__}-py3-none-any.whl"


def say_installed_from(direct_url: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if direct_url is not None:
        text = direct_url if isinstance(direct_url, str) else json.dumps(direct_url)
        (folder / "direct_url.json").write_text(text)
    monkeypatch.setattr(own_wheel, "distribution", lambda _: PathDistribution(folder))


@pytest.mark.parametrize(
    ("direct_url", "command"),
    [
        (
            {"url": f"file:///home/ada%20b/{WHEEL}", "archive_info": {}},
            f"mkdir -p wheels && cp '/home/ada b/{WHEEL}' wheels/",
        ),
        (
            {"url": "file:///home/ada/opa-stack/api", "dir_info": {"editable": True}},
            "pip wheel --no-deps -w wheels /home/ada/opa-stack/api",
        ),
        (
            {
                "url": "https://ada:secret@git.example.com/opa-stack.git",
                "vcs_info": {"vcs": "git", "commit_id": COMMIT},
                "subdirectory": "api",
            },
            f"pip wheel --no-deps -w wheels 'git+https://ada:***@git.example.com/opa-stack.git@{COMMIT}#subdirectory=api'",
        ),
        (
            {"url": "file:///srv/opa-stack", "vcs_info": {"vcs": "git", "commit_id": COMMIT}, "subdirectory": "api"},
            f"pip wheel --no-deps -w wheels 'git+file:///srv/opa-stack@{COMMIT}#subdirectory=api'",
        ),
        (
            {"url": f"https://ada:secret@files.example.com/{WHEEL}", "archive_info": {}},
            f"pip wheel --no-deps -w wheels 'https://ada:***@files.example.com/{WHEEL}'",
        ),
        (None, ""),
        ({"url": 3}, ""),
        ("[]", ""),
        ("{", ""),
    ],
    ids=["a file", "a clone", "git", "git here", "an address", "an index", "no URL", "no object", "no JSON"],
)
def test_it_says_how_the_wheel_gets_into_a_project(
    direct_url: Any, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    say_installed_from(direct_url, tmp_path, monkeypatch)
    assert command_for_own_wheel() == command


def test_where_opa_stack_is_not_installed_it_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> PathDistribution:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(own_wheel, "distribution", nothing)
    assert command_for_own_wheel() == ""


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_the_makefile_takes_the_wheel_that_is_there_and_asks_the_index_for_it_otherwise(here: Path) -> None:
    make_project(Path("shop"))

    def commands() -> list[str]:
        done = subprocess.run(
            ["make", "-n", "install", "VENV=venv"], cwd="shop", capture_output=True, text=True, check=True, timeout=60
        )
        return [line for line in done.stdout.splitlines() if "pip install" in line]

    of_lock, of_opa = commands()
    assert of_opa.endswith(f" --no-deps opa-stack=={opa.__version__}")
    assert "--find-links" not in of_lock
    (here / "shop" / "wheels").mkdir()
    (here / "shop" / "wheels" / "opa_stack-0.0.1-py3-none-any.whl").touch()
    assert commands()[1].endswith(f" --no-deps opa-stack=={opa.__version__}"), "that is another version"
    (here / "shop" / "wheels" / WHEEL).touch()
    of_lock, of_opa = commands()
    assert of_opa.endswith(f" --no-deps wheels/{WHEEL}")
    assert "--find-links wheels --require-hashes" in of_lock
