"""What the tests run of the package, as `tests.probes` measures it, is what a trace function finds."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.probes import Measurement, coverage_of, remove_stale

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
REPORT = tomllib.loads(PROJECT.read_text())["tool"]["coverage"]["report"]
SAMPLE = '''"""A package."""

from __future__ import annotations

import enum
import functools
from contextlib import suppress


class Color(enum.Enum):
    """An enumeration."""

    RED = 1
    """The first."""
    if RED:
        GREEN = 2


@functools.cache
@functools.wraps(print)
def branches(number: int) -> str:
    """Some ways."""
    global counted
    if number == 1: return "one"
    if number == 2:
        result = "two"
    elif number == 3:
        result = (
            "three"
        )
    else:
        result = "more"
    for each in range(number):
        if each == 5:
            break
        if each == 7:
            continue
    else:
        result += "!"
    while number > 2:
        number -= 1
    while True:
        if number < 9:
            break
    return result


def never() -> None:
    if 1 < 2:
        print("never")


def errors(what: type[Exception]) -> int:
    try:
        with suppress(KeyError):
            raise what("no")
    except (
        ValueError
    ):
        return 1
    except TypeError:
        return 2
    else:
        number = 3
    finally:
        if what is KeyError:
            number = 4
    return number


def cases(value: object) -> int:
    match value:
        case 1 | 2:
            found = 1
        case {"name": str(name)} if name:
            found = 2
        case [first, *_]:
            found = 3
    match value:
        case 7:
            return 7
        case _:
            pass
    return found


async def waits() -> list[int]:
    async def numbers():
        yield 1

    found = [each async for each in numbers()]
    async for each in numbers():
        found.append(each)
    return [each for each in found if each]


branches(1), branches(2), branches(4), branches(6)
errors(ValueError), errors(KeyError), errors(type("Missing", (KeyError,), {}))
cases(1), cases([1])
with suppress(StopIteration):
    waits().send(None)
'''


@pytest.fixture
def package(tmp_path: Path) -> Path:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text(SAMPLE)
    (package / "unused.py").write_text('"""A module that nobody imports."""\n\nif __name__ == "x":\n    print()\n')
    return package


def run(package: Path, *command: str) -> int:
    return subprocess.run([sys.executable, *command], cwd=package.parent, timeout=60, check=False).returncode


def found(data: Path) -> dict[str, object]:
    """The lines that did not run of each file, and how many ways there are from its branches and were taken."""
    coverage = coverage_of(data)
    coverage.load()
    files = coverage.get_data().measured_files()
    return {Path(file).name: (coverage.analysis2(file)[3], coverage.branch_stats(file)) for file in files}


def test_lines_and_branches_are_those_that_a_trace_function_finds(package: Path) -> None:
    measurement = Measurement.begin(package)
    assert measurement is not None
    assert run(package, "-c", "import package") == 0
    measurement.save(package.parent / "probes")
    measurement.end()
    traced = ("-m", "coverage", "run", "--branch", "--source=package", "--data-file=traced", "-m", "package.__init__")
    assert run(package, *traced) == 0
    probed = found(package.parent / "probes")
    assert probed == found(package.parent / "traced")
    assert probed["unused.py"] == ([3, 4], {3: (2, 0)})


def test_code_of_a_killed_process_and_its_forks_is_measured(package: Path) -> None:
    (package / "end.py").write_text(
        "import os, signal\n"
        "if os.fork():\n"
        "    os.wait()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "else:\n"
        "    os._exit(0)\n"
    )
    measurement = Measurement.begin(package)
    assert measurement is not None
    assert run(package, "-c", "import os; os.environ.clear(); import package.end") == -signal.SIGKILL
    measurement.save(package.parent / "probes")
    measurement.end()
    assert found(package.parent / "probes")["end.py"] == ([], {2: (2, 2)})


def test_a_module_that_runs_outside_of_its_package_is_measured(package: Path) -> None:
    measurement = Measurement.begin(package)
    assert measurement is not None
    assert run(package, "-c", "import sys; sys.path[:0] = ['package']; import unused") == 0
    measurement.save(package.parent / "probes")
    measurement.end()
    assert found(package.parent / "probes")["unused.py"] == ([4], {3: (2, 1)})


def test_a_measured_process_has_no_more_open_files(package: Path) -> None:
    code = (
        "import os; before = os.listdir('/proc/self/fd'); import package; print(before == os.listdir('/proc/self/fd'))"
    )
    measurement = Measurement.begin(package)
    assert measurement is not None
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=package.parent, stdout=subprocess.PIPE, text=True, check=True
    )
    measurement.end()
    assert done.stdout.splitlines()[-1] == "True"


def test_one_run_at_a_time_measures_a_package(package: Path) -> None:
    measurement = Measurement.begin(package)
    assert measurement is not None
    assert Measurement.begin(package) is None
    assert not remove_stale(package)
    measurement.end()
    assert not list(package.rglob("*.pyc"))


def test_compiled_files_of_a_killed_run_are_removed(package: Path) -> None:
    code = "import pathlib, tests.probes; tests.probes.Measurement.begin(pathlib.Path('package').absolute())"
    environ = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    subprocess.run([sys.executable, "-c", code], cwd=package.parent, env=environ, timeout=60, check=True)
    assert list(package.rglob("*.pyc"))
    assert remove_stale(package)
    assert not list(package.rglob("*.pyc"))
    assert run(package, "-c", "import package; assert not hasattr(package, '__probes__')") == 0


@pytest.mark.parametrize("kind", ["cover", "branch"])
def test_a_pragma_needs_a_reason(kind: str) -> None:
    report = REPORT["exclude_lines"] + REPORT["partial_branches"]
    ignored = re.compile("|".join(pattern for pattern in report if "pragma" in pattern))
    assert ignored.search(f"return  # pragma: no {kind}: only on macOS")
    assert not ignored.search(f"return  # pragma: no {kind}")
    assert not ignored.search(f"return  # pragma: no {kind}: ")


def test_the_floor_is_that_of_the_page_for_contributors() -> None:
    page = (PROJECT.parents[1] / "CONTRIBUTING.md").read_text()
    assert re.findall(r"fails below (\d+) %", page) == [str(REPORT["fail_under"])]
