"""All parsers; `python -m tests.fuzz.parsers [--count COUNT] [--seconds SECONDS] [NAME …]` gives each many inputs.

They are other ones with each run. Bodies of JSON and messages of tasks have more of their own, in
`tests/http/test_strict_json.py` and `tests/tasks/test_messages_fuzzed.py`.
"""

from __future__ import annotations

import argparse
import math
import secrets
import sys
import time
import traceback
import warnings
from collections.abc import Sequence

from loguru import logger

from tests.fuzz import plugins, requests, settings
from tests.fuzz.parser import Done, Parser, give

PARSERS: list[Parser] = [*settings.PARSERS, *plugins.PARSERS, *requests.PARSERS]
AT_ONCE = 2000
"""Inputs of one run of Hypothesis, which remembers all of them."""


def main(words: Sequence[str]) -> int:
    """Run them, with a line for each parser; 1 where one has failed."""
    options = argparse.ArgumentParser(prog="python -m tests.fuzz.parsers")
    options.add_argument("--count", type=int, default=1_000_000, help="inputs of each parser")
    options.add_argument("--seconds", type=float, default=math.inf, help="of the processor, after which one is enough")
    options.add_argument("names", nargs="*", help="of parsers, or parts of names")
    given = options.parse_args(words)
    wanted = [each for each in PARSERS if not given.names or any(name in each.name for name in given.names)]
    logger.remove()
    warnings.simplefilter("ignore")
    results = [_is_right(parser, given.count, given.seconds) for parser in wanted]
    return 0 if results and all(results) else 1


def _is_right(parser: Parser, count: int, seconds: float) -> bool:
    since = time.process_time()
    done = Done()
    while done.count < count and time.process_time() - since < seconds:
        number = secrets.randbits(32)
        try:
            part = give(parser, min(AT_ONCE, count - done.count), number=number)
        except BaseException:
            traceback.print_exc()
            print(f"{parser.name:40} FAILED after {done.count} inputs, in run {number}", flush=True)
            return False
        done = Done(done.count + part.count, max(done.slowest, part.slowest))
    taken = time.process_time() - since
    print(f"{parser.name:40} {done.count:9} inputs in {taken:6.1f} s, the slowest {done.slowest:.3f} s", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
