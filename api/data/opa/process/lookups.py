"""Look hosts up in a process of its own, which a look-up that hangs cannot hold up: no thread is left at a fork."""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from opa._util.hosts import resolves


class Lookups(NamedTuple):
    """What is being looked up.

    Attributes:
        hosts: their names.
        process: the id of the process that does.
        answer: descriptor of a pipe, from which it is read.
    """

    hosts: frozenset[str]
    process: int
    answer: int

    def found(self, time_limit: float) -> frozenset[str]:
        """Those that resolve, and all of them where that is not known in time.

        Args:
            time_limit: seconds to wait.
        """
        text, deadline = b"", time.monotonic() + time_limit
        end = select.poll()
        end.register(self.answer)
        while end.poll(1000 * max(0.0, deadline - time.monotonic())):
            part = os.read(self.answer, 1 << 16)
            if not part:
                break
            text += part
        os.close(self.answer)
        with suppress(ProcessLookupError):
            os.kill(self.process, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self.process, 0)
        try:
            return frozenset(json.loads(text))
        except ValueError:
            return self.hosts


def look_up(hosts: Iterable[str], time_limit: float) -> Lookups | None:
    """Begin; None where there are no hosts, or no process can be forked. Before there are threads.

    Args:
        hosts: their names.
        time_limit: seconds for all of them.
    """
    names = frozenset(hosts)
    if not names:
        return None
    try:
        answer, writer = os.pipe()
        process = os.fork()
    except OSError:
        return None
    if process == 0:
        try:
            signal.alarm(int(time_limit) + 1)
            text = json.dumps([host for host in sorted(names) if resolves(host, time_limit)]).encode()
            os.write(writer, text)
        finally:
            os._exit(0)
    os.close(writer)
    return Lookups(names, process, answer)
