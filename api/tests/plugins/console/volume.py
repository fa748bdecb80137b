"""Pages of the console and memory of redis, with as many runs as are kept: `python -m tests.plugins.console.volume`.

It starts a redis of its own, writes 120,000 runs as workers do, with the settings that are there by default, and asks
the application in this process for each page. It ends with 1 where a page takes too long, or redis too much.
`--runs`, `--result` and `--log` write others than those: `--help` says which.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
import redis
from starlette.testclient import TestClient

from opa import TaskRun
from opa.plugins.task_runs.limits import Limits
from opa.plugins.task_runs.names import (
    DEAD,
    FAILED,
    GIVEN_BACK,
    LOST,
    RETRYING,
    REVOKED,
    RUNNING,
    STATES,
    SUCCEEDED,
    WAITING,
)
from opa.plugins.task_runs.put import BATCH_SIZE, put
from opa.plugins.task_runs.reader import RunReader
from opa.plugins.task_runs.records import error_line, told
from opa.plugins.task_runs.said import packed
from opa.plugins.task_runs.scripts import RECORD
from opa.tasks.brokers.queues import DEAD_LETTER_QUEUE
from tests.plugins.console.jobs import JOBS
from tests.plugins.console.test_dead import letter
from tests.project import Project, clean_imports
from tests.servers import redis_server
from tests.tasks.runs_project import RunsProject, runs_project
from tests.tasks.workers import task_project

WRITTEN, KEPT, LETTERS = 120_000, 100_000, 500
WORDS = "".join(random.Random(1).choices("etaoinshrdlu 0123456789", k=200_000))  # the same each time
MOST_SECONDS, MOST_BYTES = 0.3, 150_000_000
DAYS = 6
"""For which runs were sent: within the age of those that are kept."""
TASKS = ("jobs.report", "jobs.nightly", "shop.add", "shop.order", "mail.send")
PAGE = 50
BODY = '[["%s", 3], {"draft": false}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]'
TRACEBACK = """Traceback (most recent call last):
  File "/plugins/jobs.py", line 41, in report
    rows = rows_of(customer, month)
  File "/plugins/jobs.py", line 23, in rows_of
    raise LookupError(f"no report of {customer}")
LookupError: no report of customer-%d
"""


@dataclass(frozen=True)
class Written:
    """A run as it is written: what a process tells of it, and what is kept beside.

    Attributes:
        texts: its events, in JSON.
        blobs: its log.
    """

    texts: tuple[str, ...]
    blobs: tuple[tuple[str, bytes], ...]


def id_of(number: int) -> str:
    # As random as those of Celery, and the same each time.
    return str(UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128))


def task_and_state(number: int) -> tuple[str, str]:
    """Many of one task failed, few of another one; of each state there are some."""
    task = TASKS[number % len(TASKS)]
    if task == "jobs.report" and number % 4 == 0:
        return task, FAILED
    if number % 2500 == 1:
        return task, FAILED
    others = {3: DEAD, 5: REVOKED, 7: LOST, 9: RETRYING, 11: RUNNING, 13: WAITING, 15: GIVEN_BACK}
    return task, others.get(number % 1000, SUCCEEDED)


def written(number: int, now: float, sizes: argparse.Namespace) -> Written:
    """What becomes of a run, from when it was sent to when it ended."""
    task, state = task_and_state(number)
    customer = f"customer-{number}"
    headers = {"argsrepr": f"({customer!r}, 3)", "kwargsrepr": "{'draft': False}"}
    headers |= {"actor": "mary", "actor_kind": "key"} if number % 3 else {"schedule": task}
    sent = TaskRun(
        id_of(number),
        task,
        task.partition(".")[0],
        "celery",
        sent_at=now - DAYS * 86_400 * (1 - number / sizes.runs),
        body=BODY % customer,
        headers=headers,
    )
    texts = [told(WAITING, sent, "0123456789ab")]
    if state == WAITING:
        return Written(tuple(texts), ())
    begun = sent.sent_at + 0.25  # type: ignore[operator]  # it is given above
    run = sent.changed(body=None, worker="celery@worker-1", deliveries=1, started_at=begun)
    traceback = TRACEBACK % number if state in (FAILED, DEAD, RETRYING) else ""
    if state not in (RUNNING, LOST):
        run = run.changed(ended_at=begun + 1.5)
    if state == SUCCEEDED:
        result = f"{{'customer': '{customer}', 'file': 'reports/{number}.pdf', 'rows': 31}}"
        run = run.changed(result=f"{result}{WORDS[number : number + sizes.result]}"[: max(len(result), sizes.result)])
    texts.append(told(state, run, "0123456789ab", error_line(traceback)))
    # Of each twentieth, more than half of what is kept of a log.
    lines = 700 if number % 20 == 0 else 4
    said = "".join(f"{begun + line:.3f} INFO {customer}: page {line * number % 8191} of it\n" for line in range(lines))
    if sizes.log:
        begin = number % 1000
        said = f"{said}{WORDS[begin : begin + sizes.log]}"[-sizes.log :]
    return Written(tuple(texts), ((f"log:{sent.id}:1", packed(said, traceback, len(said))),))


def write(runs: RunsProject, sizes: argparse.Namespace) -> None:
    """Write the runs, the oldest first, and letters that are dead."""
    limits, now = Limits(runs.tasks.project.config()), time.time()
    record = runs.client.register_script(RECORD)
    for first in range(0, sizes.runs, BATCH_SIZE // 2):
        numbers = range(first, min(first + BATCH_SIZE // 2, sizes.runs))
        part = [written(number, now, sizes) for number in numbers]
        texts = [text for each in part for text in each.texts]
        put(record, limits, texts, [blob for each in part for blob in each.blobs])
    broker: Any = redis.Redis.from_url(runs.tasks.broker)
    broker.lpush(DEAD_LETTER_QUEUE, *(letter(id_of(number)) for number in range(LETTERS)))
    broker.close()


def see_what_is_kept(runs: RunsProject, sizes: argparse.Namespace) -> int:
    """See that the oldest have made room, with all that was known of them; how many runs are kept."""
    limits = Limits(runs.tasks.project.config())
    client, prefix = runs.client, runs.prefix
    records = sum(1 for _ in client.scan_iter(f"{prefix}run:*", count=5000))
    logs = sum(1 for _ in client.scan_iter(f"{prefix}log:*", count=5000))
    of_tasks = sum(client.zcard(f"{prefix}task:{task}") for task in TASKS)
    kept: int = client.zcard(f"{prefix}all")
    assert kept == records == of_tasks <= limits.keep, (kept, records, of_tasks)
    assert client.zcard(f"{prefix}blobs") == logs
    of_runs, of_blobs = map(int, client.get(f"{prefix}counted").split())
    assert of_runs <= limits.run_bytes
    assert of_blobs <= limits.blob_bytes
    if not (sizes.result or sizes.log):
        assert kept == min(KEPT, sizes.runs), kept
    states = {state: client.zcard(f"{prefix}state:{state}") for state in STATES if state != SUCCEEDED}
    newest = [f"{prefix}run:{id_of(number)}" for number in range(max(0, sizes.runs - 1000), sizes.runs)]
    mean = sum(map(len, client.mget(newest))) / len(newest)
    print(
        f"{sizes.runs:,} runs were written, {records:,} are kept, {of_runs / 1e6:.1f} MB; {logs:,} have a log,", end=" "
    )
    print(f"{of_blobs / 1e6:.1f} MB")
    print(f"{mean:.0f} bytes in a record; ", end="")
    print(", ".join(f"{count:,} {state}" for state, count in states.items() if count), flush=True)
    return kept


def last_page(runs: RunsProject, kept: int) -> str:
    """The cursor of the page behind which there is none."""

    async def find(reader: RunReader) -> str:
        cursor, left = None, kept - PAGE
        while left:
            page = await reader.list_runs(cursor=cursor, limit=min(left, 5000))
            cursor, left = page.cursor, left - len(page.runs)
        return str(cursor)

    return str(runs.read(find))


def pages(runs: RunsProject, sizes: argparse.Namespace, kept: int) -> Iterator[tuple[str, str, str]]:
    """Each page: what it is, its path below that of the console, and a text that it has where all of it is there."""
    one = 'class="badge '
    yield "start", "", "of jobs.report failed"
    yield from (
        ("plugins", "/plugins", "jobs"),
        ("a plugin", "/plugins/jobs", "Clean up"),
        ("routes", "/routes", "<td"),
    )
    yield from (("tasks", "/tasks", "jobs.report"), ("a task", "/tasks/jobs.report", 'name="pages"'))
    yield "runs", "/runs", one
    yield from ((f"runs, {state}", f"/runs?state={quote(state)}", one) for state in ("failures", *STATES))
    for task in TASKS[:2]:
        yield f"runs, {task}", f"/runs?task={task}", one
        yield f"runs, {task}, failures", f"/runs?task={task}&state=failures", one
        yield f"runs, {task}, succeeded", f"/runs?task={task}&state=succeeded", one
    yield "runs, the last hour", "/runs?period=3600", one
    yield "runs, a task, dead, the last week", "/runs?task=shop.order&state=dead&period=604800", one
    yield "runs, the last page", f"/runs?cursor={quote(last_page(runs, kept))}", id_of(sizes.runs - kept)
    # The newest with a long log and an error.
    newest = max(range(0, sizes.runs, 20))
    said = "" if sizes.log else f"INFO customer-{newest}: page"
    yield "a run with its log", f"/runs/{id_of(newest)}", said
    yield "schedules", "/schedule", "jobs.nightly"
    yield "dead letters", "/dead", "jobs.nightly"
    yield "dead letters, the last page", f"/dead?page={LETTERS // PAGE}", "jobs.nightly"
    yield "a dead letter", f"/dead/{id_of(LETTERS // 2)}", "jobs.nightly"
    yield from (("settings", "/settings", "LOGLEVEL"), ("settings, all", "/settings?all=1", "RELOAD_POLLING"))


def processor_time(client: Any) -> float:
    """Seconds of the processor that this process and redis have taken."""
    info = client.info("cpu")
    return time.process_time() + float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


def measured(client: TestClient, runs: RunsProject, path: str, text: str) -> tuple[float, float]:
    """Seconds until a page is there, and those of the processor; of the first and the second time, the longer one."""
    found = []
    for _ in range(2):
        busy, begin = processor_time(runs.client), time.perf_counter()
        answer = client.get(f"/opa{path}")
        seconds = time.perf_counter() - begin
        found.append((seconds, processor_time(runs.client) - busy))
        assert answer.status_code == 200, (path, answer.status_code)
    assert text in answer.text, (path, text)
    return max(seconds for seconds, _ in found), max(busy for _, busy in found)


@contextmanager
def started(folder: Path) -> Iterator[RunsProject]:
    """A project in development, with a redis of its own and without a worker."""
    with ExitStack() as stack:
        (folder / "redis").mkdir()
        (folder / "project").mkdir()
        server = stack.enter_context(redis_server(folder / "redis"))
        monkeypatch = stack.enter_context(pytest.MonkeyPatch.context())
        stack.enter_context(clean_imports())
        monkeypatch.setenv("ENV", "dev")
        project = Project(folder / "project", monkeypatch)
        project.plugin("jobs.py", JOBS)
        project.settings(LOGLEVEL="WARNING")  # otherwise there is a line for each request between those that are told
        tasks = task_project(project, broker=f"{server.url}/1", backend=f"{server.url}/2")
        yield runs_project(stack.enter_context(tasks), server)


def main() -> int:
    """Write, measure, and tell; 1 where something is too much."""
    parser = argparse.ArgumentParser(prog="python -m tests.plugins.console.volume")
    parser.add_argument("--runs", type=int, default=WRITTEN, help="how many are written; at least 2,500")
    parser.add_argument("--result", type=int, default=0, help="characters of each result; by default about 70")
    parser.add_argument(
        "--log", type=int, default=0, help="characters of each log; by default 200, of each twentieth 36,000"
    )
    sizes, too_much = parser.parse_args(), 0

    def tell(what: str, values: str, *, is_ok: bool) -> None:
        nonlocal too_much
        too_much += not is_ok
        print(f"{what:36} {values}  {'ok' if is_ok else 'too much'}", flush=True)

    with TemporaryDirectory() as name, started(Path(name)) as runs:
        empty = int(runs.client.info("memory")["used_memory"])
        write(runs, sizes)
        kept = see_what_is_kept(runs, sizes)
        print(f"{(int(runs.client.info('memory')['used_memory']) - empty) / 1e6:.1f} MB of redis are theirs")
        print(f"{'page':36} {'ms':>6} {'ms of the processor':>20}  at most {MOST_SECONDS * 1000:.0f} ms")
        with TestClient(runs.tasks.project.app(), base_url="http://localhost") as client:
            client.get("/opa")  # the first page of a process compiles its templates, however few runs there are
            for what, path, text in pages(runs, sizes, kept):
                seconds, busy = measured(client, runs, path, text)
                tell(what, f"{seconds * 1000:6.0f} {busy * 1000:20.0f}", is_ok=seconds <= MOST_SECONDS)
        used = int(runs.client.info("memory")["used_memory"])
        tell("memory of redis", f"{used / 1e6:.1f} MB, at most {MOST_BYTES / 1e6:.0f} MB", is_ok=used <= MOST_BYTES)
    return 1 if too_much else 0


if __name__ == "__main__":
    sys.exit(main())
