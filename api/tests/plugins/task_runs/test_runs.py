"""Each run of a task leaves a record, which is right in the end whatever is killed."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opa import OpaError, TaskTooLargeError, get_plugin_manager
from opa.plugins.task_runs import names
from opa.plugins.task_runs.journal import journals_of
from opa.plugins.task_runs.limits import Limits
from opa.plugins.task_runs.said import Said
from opa.plugins.task_runs.scripts import SWEEP
from tests.serve.process import wait_until
from tests.tasks.runs_project import RunsProject, opa


def test_a_run_is_recorded_shown_sent_again_and_cancelled(runs: RunsProject) -> None:
    tasks = runs.tasks
    with tasks.sending() as client:
        shop = tasks.module("shop")

        # It waits: there is no worker yet, and nobody knows another one.
        async def state_at_once() -> str:
            state: str = await (await shop.add.send(5)).state()
            return state

        assert client.portal is not None
        assert client.portal.call(state_at_once) == "PENDING"
        waits = shop.add.delay(1).id
        assert runs.wait_for(waits, names.WAITING)["ar"] == "(1,)"
        cancelled = shop.add.delay(222).id
        runs.wait_for(cancelled, names.WAITING)

        async def states() -> list[str]:
            from opa.tasks.result import TaskResult

            return [await TaskResult(shop.add.AsyncResult(each)).state() for each in (waits, "nobody")]

        assert client.portal.call(states) == ["PENDING", "UNKNOWN"]
        assert shop.add.AsyncResult("nobody").state == "PENDING", "Celery's own answer stays"
        assert "it will not run" in opa("tasks", "cancel", cancelled).stdout

        worker = tasks.worker("-c 2")
        done = runs.wait_for(waits, names.SUCCEEDED)
        assert (done["t"], done["p"], done["q"], done["n"], done["r"]) == ("shop.add", "shop", "celery", 1, "2")
        assert done["ts"] <= done["tb"] <= done["te"]

        ids = {
            "fails": shop.fails.delay("bread").id,
            "again": shop.again.delay().id,
            "awaited": shop.awaited.delay(3).id,
            "secret": shop.add.apply_async((1,), {"password": "hunter2"}).id,
            "long": shop.long.delay("word " * 1000).id,
            "sleeps": shop.sleeps.delay().id,
        }
        failed = runs.wait_for(ids["fails"], names.FAILED)
        assert failed["e"] == "LookupError: no bread"
        assert runs.wait_for(ids["again"], names.SUCCEEDED)["n"] == 2
        awaited = runs.wait_for(ids["awaited"], names.SUCCEEDED)
        assert len(awaited["r"]) <= 1000
        children = [json.loads(text) for key in runs.client.keys("*:run:*") if (text := runs.client.get(key))]
        assert [child["t"] for child in children if child.get("pa") == ids["awaited"]] == ["shop.add"]

        # The log is that of the run, and can be read while it runs.
        def said(name: str) -> Any:
            async def log(reader: Any) -> Any:
                return await reader.log(await reader.get(ids[name]))

            return runs.read(log)

        assert "no bread" in said("fails").traceback
        assert "shop.py" in said("fails").traceback
        assert "it will fail" in said("fails").text
        assert "in its thread" in said("awaited").text
        assert "adding" not in said("awaited").text
        assert "try 0" in said("again").text
        assert "try 1" in said("again").text
        runs.wait_for(ids["sleeps"], names.RUNNING)
        wait_until(lambda: "step 1" in said("sleeps").text, what="its log so far")

        # Nothing secret is anywhere in redis.
        runs.wait_for(ids["secret"], names.SUCCEEDED)
        kept = [str(runs.client.get(key)) for key in runs.client.keys("*:run:*")]
        assert "hunter2" not in "".join(kept) + said("fails").text

        # The commands.
        shown = opa("tasks", "show", ids["fails"][:9]).stdout
        assert "LookupError: no bread" in shown
        assert "it will fail" in shown
        assert "hunter2" not in shown
        assert "again        can be sent again" in shown
        assert "`opa tasks runs` shows" in opa("tasks", "show", "nobody", status=1).stderr
        assert """such as '["a", 1]'""" in " ".join(opa("tasks", "run", "shop.add", "bread", status=2).stderr.split())
        assert "it is not JSON" in opa("tasks", "run", "shop.add", "[" * 100_000, status=2).stderr
        found = json.loads(opa("tasks", "runs", "--failed", "--json").stdout)
        assert [run["id"] for run in found] == [ids["fails"]]
        found = json.loads(opa("tasks", "runs", "--task", "shop.add", "--since", "1h", "--json").stdout)
        assert {run["task"] for run in found} == {"shop.add"}
        assert ids["secret"] in opa("tasks", "runs").stdout
        # None of a task is no mistake, and no task is one, unless its runs are on record.
        assert opa("tasks", "runs", "--task", "shop.quiet").stdout == "no runs\n"
        for close in ("shop.ad", "add"):
            with pytest.raises(OpaError, match=rf"there is no task '{close}', .* Did you mean 'shop\.add'\?"):
                opa("tasks", "runs", "--task", close, "--json")
        runs.client.sadd(f"{runs.prefix}tasks", "shop.gone")
        runs.client.zadd(f"{runs.prefix}task:shop.gone", {ids["sleeps"]: time.time()})
        assert opa("tasks", "runs", "--task", "shop.gone").stdout == "no runs\n"

        by_hand = opa("tasks", "run", "shop.add", "[20, 22]", "--wait").stdout.split()
        assert by_hand[1] == "42"
        record = runs.wait_for(by_hand[0], names.SUCCEEDED)
        assert record["ak"] == "person"
        assert "@" in record["ac"]
        opa("tasks", "run", "shop.fails", '{"a": 1}', "--wait", status=1)
        # One whose result is not kept is waited for by its record.
        assert opa("tasks", "run", "shop.quiet", "[7]", "--wait").stdout.split()[1] == "7"
        opa("tasks", "run", "shop.rejects", "--wait", status=1)

        new = opa("tasks", "again", ids["long"][:9], "--wait").stdout.split()
        assert new[1] == "5000"
        assert f"sent again as {new[0]}" in runs.record(ids["long"])["x"]
        assert f"{ids['long']} again" in runs.record(new[0])["x"]
        with pytest.raises(Exception, match="are not kept"):
            opa("tasks", "again", ids["secret"])
        assert "cannot be sent again" in opa("tasks", "show", ids["secret"]).stdout

        assert "revoked" in opa("tasks", "cancel", ids["sleeps"][:9]).stdout
        assert runs.wait_for(ids["sleeps"], names.REVOKED)["y"] == "terminated"
        with pytest.raises(Exception, match="has ended"):
            opa("tasks", "cancel", ids["sleeps"])

        # The one that was cancelled before there was a worker has not run.
        assert runs.record(cancelled)["s"] == names.REVOKED
        assert "adding 222" not in worker.log


def test_a_log_that_others_have_written_moves_no_cursor(runs: RunsProject) -> None:
    runs.client.set(f"{runs.prefix}run:odd", '{"t": "shop.add", "s": "failed", "n": 1}')
    said = Said()
    said.add("\x1b[2J\rgone\n")
    runs.client.set(f"{runs.prefix}log:odd:1", said.packed("\x1b[1mTraceback\n"))
    for arguments in (["odd"], ["odd", "--follow"]):
        shown = opa("tasks", "show", *arguments).output
        assert "\\x1b[2J\\x0dgone" in shown
        assert "\x1b" not in shown


def test_a_command_records_what_a_killed_worker_of_this_machine_has_left(
    runs: RunsProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # no other worker of this project writes there
    with runs.tasks.sending():
        folder = journals_of(get_plugin_manager().config)
    folder.mkdir(mode=0o700)
    event = {"i": "left", "s": "failed", "a": time.time(), "n": 1, "f": {"t": "shop.add"}}
    said = ["left", 1, "what it said\n", "Traceback of it\n", 13]
    (folder / "1-a.journal").write_text(f"{json.dumps(event)}\n{json.dumps(said)}\n")
    shown = opa("tasks", "show", "left").stdout
    assert all(text in shown for text in ("shop.add", "failed", "what it said", "Traceback of it"))
    assert not folder.exists()


def test_killed_processes_leave_no_run_that_runs_for_ever(rabbit_runs: RunsProject) -> None:
    runs, tasks = rabbit_runs, rabbit_runs.tasks
    tasks.settings(TASK_DELIVERY_LIMIT=2)
    with tasks.sending():
        shop = tasks.module("shop")
        worker = tasks.worker()
        kills = shop.kills.delay().id
        assert runs.wait_for(kills, names.DEAD)["y"] == "delivery_limit"
        opa("tasks", "retry", kills)
        wait_until(lambda: runs.record(kills)["a"] != runs.record(kills).get("ts"), what="it was sent again")
        runs.wait_for(kills, names.DEAD)

        sleeps = shop.sleeps.delay(6).id
        runs.wait_for(sleeps, names.RUNNING)
        worker.destroy()
        # Nobody has told anything.
        assert runs.record(sleeps)["s"] == names.RUNNING
        other = tasks.worker()
        assert runs.wait_for(sleeps, names.SUCCEEDED)["r"] == "'slept'"

        lost = shop.sleeps.delay().id
        runs.wait_for(lost, names.RUNNING)
        other.destroy()
    worker_keys = runs.client.keys("*:worker:*")
    assert worker_keys
    runs.client.delete(*worker_keys)  # as they expire
    opa("tasks", "runs")
    assert runs.record(lost)["s"] == names.RUNNING, "it may be redis that was away"
    record = runs.record(lost) | {"m": time.time() - names.MISSING_TIME - 1}
    runs.client.set(f"{runs.prefix}run:{lost}", json.dumps(record))
    assert lost in opa("tasks", "runs", "--failed").stdout
    assert runs.record(lost)["s"] == names.LOST


def test_tasks_go_on_while_redis_takes_nothing_and_are_recorded_when_it_does(rabbit_runs: RunsProject) -> None:
    runs, tasks = rabbit_runs, rabbit_runs.tasks

    def begin_to_refuse(*command: str) -> None:
        runs.client.execute_command(*command)

    outages: list[tuple[Callable[[], None], Callable[[], None]]] = [
        (runs.server.stop, runs.server.start),
        (
            lambda: begin_to_refuse("config", "set", "maxmemory", "1"),  # and it evicts nothing
            lambda: begin_to_refuse("config", "set", "maxmemory", "0"),
        ),
        (
            lambda: begin_to_refuse("replicaof", "127.0.0.1", "1"),  # it is read-only
            lambda: begin_to_refuse("replicaof", "no", "one"),
        ),
    ]
    with tasks.sending():
        shop = tasks.module("shop")
        worker = tasks.worker()

        def wait_until_counted(text: str, number: int) -> None:
            wait_until(lambda: worker.log.count(text) >= number, what=lambda: worker.log)

        runs.wait_for(shop.noop.delay().id, names.SUCCEEDED)
        for number, (begin, end) in enumerate(outages, 1):
            begin()
            ids = [shop.noop.apply_async(ignore_result=True).id for _ in range(20)]
            wait_until_counted("runs of tasks wait to be recorded", number)
            end()
            for each in ids:
                runs.wait_for(each, names.SUCCEEDED)
            wait_until_counted("runs of tasks are recorded again", number)
        assert worker.log.count("wait to be recorded") <= 2 * len(outages), "once a process"


def test_what_is_huge_or_no_json_is_recorded_in_short(runs: RunsProject) -> None:
    tasks = runs.tasks
    with tasks.sending():
        shop = tasks.module("shop")
        shop.noop.apply_async(task_id="x" * 2000)
        unfit, talks, long = shop.unfit.delay(), shop.talks.delay(30_000), shop.long.delay("word " * 150_000)
        with pytest.raises(TaskTooLargeError):
            shop.long.delay("x" * 10_000_000)
        tasks.worker("-c 1")
        assert "JSON" in runs.wait_for(unfit.id, names.FAILED)["e"]
        runs.wait_for(talks.id, names.SUCCEEDED)
        record = runs.wait_for(long.id, names.SUCCEEDED)
        assert len(json.dumps(record)) < 2000

        async def log(reader: Any) -> Any:
            return await reader.log(await reader.get(talks.id))

        said = runs.read(log)
        assert said.total > 30_000_000
        assert 60_000 < len(said.text) <= 65_536
        assert "line 29999" in said.text
        kept = sum(runs.client.memory_usage(key) for key in runs.client.keys(f"{runs.prefix}*"))
        assert kept < 100_000
        assert not runs.client.keys(f"{runs.prefix}*xxx*"), "an id stands in each index"
    with pytest.raises(Exception, match="are not kept"):
        opa("tasks", "again", long.id)


def test_with_runs_false_nothing_is_recorded(runs: RunsProject) -> None:
    runs.tasks.settings(RUNS=False)
    with runs.tasks.sending():
        shop = runs.tasks.module("shop")
        assert shop.noop.app.observers is None
        shop.noop.delay()
    with pytest.raises(Exception, match="RUNS is false"):
        opa("tasks", "runs")
    assert runs.client.keys("*:runs:*") == []


def test_many_sends_at_once_while_workers_are_killed_end_as_what_they_are(rabbit_runs: RunsProject) -> None:
    runs, tasks = rabbit_runs, rabbit_runs.tasks
    with tasks.sending():
        shop = tasks.module("shop")
        for _ in range(600):
            shop.noop.apply_async(ignore_result=True)
        first, other = tasks.start(CELERY_PARAMS="-c 2 -n first@%h"), tasks.worker("-c 1 -n other@%h")

        def counts() -> Any:
            return runs.read(lambda reader: reader.counts())

        wait_until(lambda: counts()["succeeded"] > 20, seconds=120, what=lambda: str(counts()))
        os.kill(other.children[0], signal.SIGKILL)
        wait_until(lambda: counts()["succeeded"] > 150, seconds=120, what=lambda: str(counts()))
        first.destroy()
        # What a process that is killed has not written of the tasks that it has done, a worker of its machine writes.
        expected = dict.fromkeys(names.STATES, 0) | {"all": 600, "succeeded": 600}
        wait_until(lambda: counts() == expected, seconds=120, what=lambda: str(counts()))
        # Writing them takes far less than a round trip for each.
        assert runs.client.info("commandstats")["cmdstat_evalsha"]["calls"] < 300
        # What they take is right, too, whoever has counted it.
        limits, key = Limits(tasks.project.config()), f"{runs.prefix}counted"
        counted = runs.client.getdel(key)
        runs.client.register_script(SWEEP)(keys=[], args=[*limits.args(), names.MISSING_TIME])
        assert runs.client.get(key) == counted
