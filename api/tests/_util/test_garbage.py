"""The garbage collector while a process loads what stays, and what Python does at its end."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from opa._util.garbage import frozen, no_collection
from tests import programs

IN_A_CYCLE = """
import atexit
from opa._util.garbage import end_without_collection

class Holder: pass

holder = Holder()
holder.itself = holder
holder.file = open("text", "w")
holder.file.write("all of it")
holder.bytes = open("bytes", "wb")
holder.bytes.write(b"all of it")
open("closed", "w").close()
atexit.register(print, "the end")
end_without_collection()
"""


def test_python_ends_as_always_and_files_in_cycles_lose_nothing(tmp_path: Path) -> None:
    done = programs.run([sys.executable, "-c", IN_A_CYCLE], cwd=tmp_path, check=True)
    assert (done.stdout, done.stderr) == ("the end\n", "")
    assert [(tmp_path / name).read_text() for name in ("text", "bytes")] == ["all of it", "all of it"]


@pytest.fixture
def collector() -> Iterator[None]:
    """The garbage collector as it is by default, and afterwards as it was."""
    was_enabled, before = gc.isenabled(), gc.get_threshold()
    gc.enable()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*before)
    (gc.enable if was_enabled else gc.disable)()


def _collections() -> int:
    return int(gc.get_stats()[0]["collections"])


@pytest.mark.usefixtures("collector")
def test_the_garbage_collector_rests_in_the_block_and_works_on_behind_it() -> None:
    with no_collection(), frozen():
        before = _collections()
        kept: list[list[object]] = [[] for _ in range(5_000)]
        assert _collections() == before
        assert gc.isenabled()
    kept += [[] for _ in range(5_000)]
    assert _collections() > before
    assert gc.get_threshold()[:2] == (700, 10)


@pytest.mark.usefixtures("collector")
def test_the_garbage_collector_works_on_behind_a_block_that_fails() -> None:
    with pytest.raises(ValueError, match="broken"), frozen(), no_collection():
        raise ValueError("broken")
    assert (gc.isenabled(), gc.get_threshold()[:2]) == (True, (700, 10))


@pytest.mark.usefixtures("collector")
@pytest.mark.parametrize(
    ("ask", "is_enabled", "threshold"),
    [
        (gc.disable, False, 700),
        (gc.enable, True, 700),
        (lambda: gc.set_threshold(50_000), True, 50_000),
        (lambda: gc.set_threshold(0), True, 0),
        (lambda: gc.set_threshold(gc.get_threshold()[0] * 10), True, 7_000),
    ],
    ids=["disable", "enable", "set_threshold", "never", "ten times as many"],
)
def test_what_a_plugin_asks_of_the_garbage_collector_while_it_is_imported_holds_afterwards(
    ask: Callable[[], None], is_enabled: bool, threshold: int
) -> None:
    with frozen(), no_collection():
        ask()
    assert (gc.isenabled(), gc.get_threshold()[0]) == (is_enabled, threshold)


@pytest.mark.usefixtures("collector")
def test_blocks_of_several_threads_may_end_in_another_order_than_they_begin() -> None:
    first, second, third = no_collection(), no_collection(), no_collection()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    third.__enter__()
    second.__exit__(None, None, None)
    third.__exit__(None, None, None)
    assert gc.get_threshold()[0] == 700
