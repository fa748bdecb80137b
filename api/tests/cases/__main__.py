"""`python -m tests.cases`: runs the cases, and prints one line for each."""

from __future__ import annotations

import signal
import sys
import tempfile
import traceback
from pathlib import Path

from tests.cases.place import Case, Place, all_cases


def main(wanted: set[str]) -> int:
    """Run the cases, or those of them that are wanted; 1 where one is wrong."""
    cases = [case for case in all_cases() if not wanted or case.id in wanted]
    if unknown := wanted - {case.id for case in cases}:
        print(f"there is no case {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    results = [_is_right(case) for case in cases]
    print(f"{sum(results)} of {len(results)} end right")
    return 0 if all(results) else 1


def _is_right(case: Case) -> bool:
    with tempfile.TemporaryDirectory(prefix="opa-case-", ignore_cleanup_errors=True) as folder:
        place = Place(Path(folder))
        try:
            case.run(place)
        except Exception as error:
            print(f"{case.id:8} WRONG  {case.right}: {_what_was_seen(error)}", flush=True)
            return False
        finally:
            place.kill()
    print(f"{case.id:8} right  {case.right}", flush=True)
    return True


def _what_was_seen(error: Exception) -> str:
    """The error in a line, with the line of the case."""
    where = next(frame for frame in reversed(traceback.extract_tb(error.__traceback__)) if "/cases/" in frame.filename)
    what = (str(error) or where.line or type(error).__name__).splitlines()[0]
    return f"{what} ({Path(where.filename).name}:{where.lineno})"


if __name__ == "__main__":
    # To be told to stop is to be interrupted: what a case has started is ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main(set(sys.argv[1:])))
