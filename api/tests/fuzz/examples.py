"""`python -m tests.fuzz.examples [--cases CASES] [NAME …]`: asks running examples for what nobody expects.

Each example runs by `opa up`, with real servers, as its README has it; schemathesis reads its OpenAPI document.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.local.up import Up, up_in

ROOT = Path(__file__).parents[3]
NAMES = sorted(readme.parent.name for readme in ROOT.glob("examples/*/README.md"))
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
PHASES = {"examples,coverage,fuzzing": 1, "coverage,stateful": 10}
"""Of schemathesis, with what part of the cases: those of the last are sequences of several requests each. By itself it
would be an error where an example has none."""

_WAITS = {"sleep(5)": "sleep(0.01)", "le=10)]": "le=0.01)]", "PAUSE = 0.5": "PAUSE = 0.001"}


def main(words: Sequence[str]) -> int:
    """Ask all of them, and print what schemathesis says; 1 where it has found something."""
    options = argparse.ArgumentParser(prog="python -m tests.fuzz.examples")
    options.add_argument("--cases", type=int, default=1000, help="of each route")
    options.add_argument("names", nargs="*", choices=[*NAMES, []], help="of examples")
    given = options.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="opa-fuzz-", ignore_cleanup_errors=True) as folder:
        wrong = [name for name in given.names or NAMES if not _is_right(name, given.cases, Path(folder, name))]
    print(f"wrong: {', '.join(wrong)}" if wrong else "all examples answer as they describe themselves")
    return 1 if wrong else 0


def without_waiting(plugins: Path) -> None:
    """Let the routes and tasks of an example wait for hundredths of a second where they wait for seconds."""
    for file in plugins.rglob("*.py"):
        text = file.read_text()
        for long, short in _WAITS.items():
            text = text.replace(long, short)
        file.write_text(text)


def _is_right(name: str, cases: int, folder: Path) -> bool:
    print(f"== {name}", flush=True)
    with up_in(folder) as up:
        shutil.copytree(ROOT / "examples" / name / "plugins", folder / "plugins")
        without_waiting(folder / "plugins")
        up.start()
        up.wait_until_ready()
        found = [_asked(name, up, phases, -(-cases // part)) for phases, part in PHASES.items()]
        print(f"the log of opa up has {up.output.count('Traceback')} tracebacks", flush=True)
    return not any(found)


def _asked(name: str, up: Up, phases: str, cases: int) -> int:
    """The exit status of schemathesis: 1 where it has found something."""
    command = [str(SCHEMATHESIS), "run", f"http://127.0.0.1:{up.port}/openapi.json", f"--phases={phases}"]
    # With several workers, threads of it compile at once, which is a SystemError in some versions of Python 3.11.
    limits = [f"--max-examples={cases}", "--workers=1", "--request-timeout=60"]
    more = ["--continue-on-failure", "--suppress-health-check=all", "--no-color"]
    if name != NAMES[0]:  # the demo plugins are there with each
        more.append("--exclude-path-regex=^/demo/")
    return subprocess.run([*command, *limits, *more], cwd=up.folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
