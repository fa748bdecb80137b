"""The package as it is distributed: its wheel, and environments into which it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, PathDistribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

from tests.docker.engine import ROOT

API = ROOT / "api"
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")


def build_wheel(folder: Path) -> Path:
    """Build the wheel from a copy of the sources: setuptools builds inside of them, and takes what it finds there."""
    sources = folder / "sources"
    sources.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(API / name, sources)
    shutil.copytree(API / "data", sources / "data", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    _run(*PIP, "wheel", "--no-deps", "--no-index", "--no-build-isolation", f"--wheel-dir={folder}", str(sources))
    return next(folder.glob("*.whl"))


def wheel_of(sdist: Path, folder: Path) -> Path:
    """The wheel that pip builds of an sdist."""
    _run(*PIP, "wheel", "--no-deps", "--no-index", "--no-build-isolation", f"--wheel-dir={folder}", str(sdist))
    return next(folder.glob("*.whl"))


def install(wheel: Path, folder: Path, *extras: str, programs: Iterable[str] = ()) -> Path:
    """Install the wheel and what it requires into an environment that has nothing else, and give its `bin`.

    With `programs` it also has these packages, such as ruff, with their commands.

    Only the wheel is really installed. What it requires, and what that requires, is linked from the environment of the
    tests: an index would take minutes, and need a network. Each other package is missing, as in an empty environment.
    """
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    _run(*PIP, "--python", str(python), "install", "--no-deps", "--no-index", str(wheel))
    packages = next(folder.glob("lib/python*/site-packages"))
    own = PathDistribution(next(packages.glob("opa_stack-*.dist-info")))
    for found in _required((*(own.requires or ()), *programs), extras):
        _link(found, packages)
    for name in programs:
        _link_commands(name, folder / "bin")
    return folder / "bin"


def _required(requirements: Iterable[str], extras: Iterable[str]) -> list[str]:
    """The names of all packages that are required with `extras`, and of those that these require."""
    todo, done = [(text, frozenset(extras)) for text in requirements], set()
    names: list[str] = []
    while todo:
        text, asked = todo.pop()
        if (text, asked) in done:
            continue
        done.add((text, asked))
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is not None and not any(marker.evaluate({"extra": extra}) for extra in ("", *asked)):
            continue
        try:
            found = distribution(requirement.name)
        except PackageNotFoundError:
            raise AssertionError(f"{text} is required, and not installed for the tests") from None
        assert requirement.specifier.contains(found.version, prereleases=True), f"{text}, and not {found.version}"
        names.append(requirement.name)
        todo += [(more, frozenset(requirement.extras)) for more in found.requires or ()]
    return list(dict.fromkeys(names))


def _link(name: str, packages: Path) -> None:
    found = distribution(name)
    for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
        link = packages / top
        if not link.exists():
            link.symlink_to(str(found.locate_file(top)))


def _link_commands(name: str, commands: Path) -> None:
    """Put the commands of a package into `commands`; what Python runs there is run by the Python that is there."""
    found = distribution(name)
    for file in found.files or ():
        if file.parts[-2:-1] != ("bin",) or file.parts[0] != "..":
            continue
        source, target = Path(str(found.locate_file(file))), commands / file.name
        head, _, rest = source.read_bytes().partition(b"\n")
        if head.startswith(b"#!") and not target.exists():
            target.write_bytes(b"#!" + str(commands / "python").encode() + b"\n" + rest)
            target.chmod(0o755)
        elif not target.exists():
            target.symlink_to(source)


def _run(*command: str) -> None:
    # PYTHONPATH may lead to the sources, and pip would take them for what is installed.
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    assert done.returncode == 0, done.stdout + done.stderr
