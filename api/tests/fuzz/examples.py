"""`python -m tests.fuzz.examples [--cases CASES] [--seconds SECONDS] [NAME …]`: asks examples for what nobody expects.

Each runs by `opa up`, with real servers, as its README has it; schemathesis reads its OpenAPI document.
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.local.up import Up, up_in

ROOT = Path(__file__).parents[3]
NAMES = sorted(readme.parent.name for readme in ROOT.glob("examples/*/README.md"))
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
PHASES = {"examples,coverage,fuzzing": 1, "coverage,stateful": 10}
"""Of schemathesis, with what part of the cases: those of the last are sequences of several requests each. By itself it
would be an error where an example has none."""

PATIENCE = 60.0
"""Seconds for schemathesis to say what it has found when it is told to end."""
_GENERATED = re.compile(r"(\d+) generated")

_WAITS = {"sleep(5)": "sleep(0.01)", "le=10)]": "le=0.01)]", "PAUSE = 0.5": "PAUSE = 0.001"}


@dataclass
class Outcome:
    """What has become of an example.

    Attributes:
        cases: that were asked, of all phases.
        problems: what is wrong, for people; none where it answers as it describes itself.
    """

    cases: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.cases:7} cases  {'; '.join(self.problems) or 'right'}"


def main(words: Sequence[str]) -> int:
    """Ask all of them, print what schemathesis says, and in the end a line for each; 1 where something was found."""
    options = argparse.ArgumentParser(prog="python -m tests.fuzz.examples")
    options.add_argument("--cases", type=int, default=1000, help="of each route")
    options.add_argument("--seconds", type=float, default=3600, help="for each phase of an example, by the clock")
    options.add_argument("names", nargs="*", choices=[*NAMES, []], help="of examples")
    given = options.parse_args(words)
    outcomes = {}
    with tempfile.TemporaryDirectory(prefix="opa-fuzz-", ignore_cleanup_errors=True) as folder:
        for name in given.names or NAMES:
            outcomes[name] = outcome_of(name, given.cases, given.seconds, Path(folder, name))
    print("== all")
    for name, outcome in outcomes.items():
        print(f"{name:20} {outcome}", flush=True)
    return 1 if any(outcome.problems for outcome in outcomes.values()) else 0


def without_waiting(plugins: Path) -> None:
    """Let the routes and tasks of an example wait for hundredths of a second where they wait for seconds."""
    for file in plugins.rglob("*.py"):
        text = file.read_text()
        for long, short in _WAITS.items():
            text = text.replace(long, short)
        file.write_text(text)


def outcome_of(name: str, cases: int, seconds: float, folder: Path) -> Outcome:
    """Ask one of them; where it does not run at all, that is the outcome, and the others have their turn."""
    print(f"== {name}", flush=True)
    outcome = Outcome()
    try:
        with up_in(folder) as up:
            shutil.copytree(ROOT / "examples" / name / "plugins", folder / "plugins")
            without_waiting(folder / "plugins")
            up.start()
            up.wait_until_ready()
            for phases, part in PHASES.items():
                ask(_command(name, up, phases, -(-cases // part)), up.folder, seconds, phases, outcome)
            if tracebacks := up.output.count("Traceback"):
                outcome.problems.append(f"the log of opa up has {tracebacks} tracebacks")
    except Exception as error:
        outcome.problems.append(f"it did not run: {type(error).__name__}: {error}")
    return outcome


def ask(command: Sequence[str], folder: Path, seconds: float, phases: str, outcome: Outcome) -> None:
    """Run schemathesis, show what it says, and note what has come of it.

    Args:
        command: of it.
        folder: in which it runs.
        seconds: after which it is told to end, and to say what it has found so far.
        phases: for people.
        outcome: gets the number of cases, and what is wrong.
    """
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, errors="replace") as running:
        assert running.stdout is not None
        is_over = threading.Event()

        def end() -> None:
            is_over.set()
            running.send_signal(signal.SIGINT)

        ends = [threading.Timer(seconds, end), threading.Timer(seconds + PATIENCE, running.kill)]
        for timer in ends:
            timer.start()
        try:
            for line in running.stdout:
                print(line, end="", flush=True)
                outcome.cases += sum(map(int, _GENERATED.findall(line)))
            status = running.wait()
        finally:
            for timer in ends:
                timer.cancel()
    if is_over.is_set():
        outcome.problems.append(f"{phases} took longer than {seconds:g} s")
    elif status:
        outcome.problems.append(f"{phases} ended with {status}, see above")


def _command(name: str, up: Up, phases: str, cases: int) -> list[str]:
    command = [str(SCHEMATHESIS), "run", f"http://127.0.0.1:{up.port}/openapi.json", f"--phases={phases}"]
    # With several workers, threads of it compile at once, which is a SystemError in some versions of Python 3.11.
    limits = [f"--max-examples={cases}", "--workers=1", "--request-timeout=60"]
    more = ["--continue-on-failure", "--suppress-health-check=all", "--no-color"]
    if name != NAMES[0]:  # the demo plugins are there with each
        more.append("--exclude-path-regex=^/demo/")
    return [*command, *limits, *more]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
