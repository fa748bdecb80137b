from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

API = Path(__file__).parents[2]


@pytest.mark.timeout(120)
def test_it_measures_both_applications_and_writes_what_it_found(tmp_path: Path) -> None:
    """No more than that it works: what it measures here, beside other tests, says nothing."""
    file = tmp_path / "new" / "bench.json"
    options = ["--rounds", "2", "--seconds", "0.1", "--connections", "4", "--file", str(file)]
    done = subprocess.run(
        [sys.executable, "-m", "bench", *options], cwd=API, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ratio of medians (opa-stack / bare): " in done.stdout
    found = json.loads(file.read_text())
    assert [app["name"] for app in found["applications"]] == ["bare FastAPI", "opa-stack"]
    for app in found["applications"]:
        assert len(app["rounds"]) == 2
        assert app["per_second"] > 0
    bare, stack = found["applications"]
    assert found["ratio"] == pytest.approx(stack["per_second"] / bare["per_second"])
    assert found["versions"]["fastapi"]
    assert found["machine"]["python"]
