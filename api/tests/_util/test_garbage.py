"""What Python does at its end."""

from __future__ import annotations

import sys
from pathlib import Path

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
