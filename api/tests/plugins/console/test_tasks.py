"""Tasks, their runs and their schedule on the console, with a real worker: what is seen, and what is done."""

from __future__ import annotations

import re
import time

import pytest
from starlette.testclient import TestClient

from opa.plugins.task_runs.limits import Limits
from opa.plugins.task_runs.put import put
from opa.plugins.task_runs.records import as_json
from opa.plugins.task_runs.scripts import RECORD
from tests.plugins.console.jobs import do
from tests.serve.process import wait_until
from tests.tasks.runs_project import RunsProject


def test_a_task_is_sent_from_its_form_found_when_it_failed_and_run_again(
    jobs: RunsProject, capsys: pytest.CaptureFixture[str]
) -> None:
    with TestClient(jobs.tasks.project.app(), base_url="http://localhost") as client:

        def page(path: str) -> str:
            answer = client.get(f"/opa{path}")
            assert answer.status_code == 200, answer.text
            return answer.text

        assert "Write &lt;a&gt; report." in page("/tasks")
        assert 'href="/opa/tasks/jobs.report"' in page("/plugins/jobs")
        form = page("/tasks/jobs.report")
        assert 'name="name" value=""' in form
        assert 'name="pages" value="3"' in form
        assert "<option selected>false</option>" in form
        for fields, problem in (
            ({}, "name is missing"),
            ({"name": "x", "pages": "many"}, "pages is not JSON"),
            ({"name": "x", "more": "{"}, "more is not JSON"),
        ):
            refused = do(client, "/tasks/jobs.report", **fields)
            assert refused.status_code == 400
            assert problem in refused.text
            assert all(f'value="{value}"' in refused.text for value in fields.values() if value != "{")

        sent = do(client, "/tasks/jobs.report", name="bad", pages="7", draft="true", more='{"a": [1]}')
        assert sent.status_code == 303
        run = sent.headers["location"]
        wait_until(lambda: "failed</span>" in client.get(run).text, what=lambda: client.get(run).text)
        shown = client.get(run).text
        assert "LookupError: no &lt;such&gt; report" in shown
        assert "writing &lt;b&gt; bad" in shown
        assert "development" in shown

        start = page("")
        link = re.search(r'href="(/opa/runs\?[^"]+)">1 run of jobs.report failed', start)
        assert link is not None, start
        found = client.get(link[1].replace("&amp;", "&")).text
        assert f'href="{run}"' in found

        again = do(client, run.removeprefix("/opa") + "/again")
        assert again.status_code == 303
        assert again.headers["location"] != run
        wait_until(lambda: "sent again as" in client.get(run).text)
        assert "tasks.again" in capsys.readouterr().err

        # Another task that fails all the time does not hide it.
        wait_until(lambda: "failed</span>" in client.get(again.headers["location"]).text)
        now = time.time()
        events = [
            as_json({"i": f"id-{number}", "s": "failed", "a": now, "n": 1, "f": {"t": "jobs.odd", "ts": now}})
            for number in range(1234)
        ]
        limits = Limits(jobs.tasks.project.config())
        put(jobs.client.register_script(RECORD), limits, events, [])
        wait_until(lambda: "1,234 runs of jobs.odd failed" in page(""), what=lambda: page(""))
        assert re.search(r"\b2 runs of jobs\.report failed", page(""))


def test_a_run_that_is_over_is_not_cancelled_and_one_that_nobody_knows_is_not_shown(jobs: RunsProject) -> None:
    with TestClient(jobs.tasks.project.app(), base_url="http://localhost") as client:
        run = do(client, "/tasks/jobs.nightly").headers["location"]
        wait_until(lambda: "succeeded</span>" in client.get(run).text, what=lambda: client.get(run).text)

        refused = do(client, run.removeprefix("/opa") + "/cancel")
        assert refused.status_code == 400
        assert "has ended" in refused.text
        for path in ("/runs/none", "/tasks/none"):
            assert client.get(f"/opa{path}").status_code == 404
        assert do(client, "/runs/none/again").status_code in {400, 404}


def test_a_schedule_is_paused_resumed_and_run_now(jobs: RunsProject) -> None:
    with TestClient(jobs.tasks.project.app(), base_url="http://localhost") as client:
        assert "0 3 * * *" in client.get("/opa/schedule").text
        assert do(client, "/schedule/pause", name="jobs.nightly", length="86400", reason="<move>").status_code == 303
        paused = client.get("/opa/schedule").text
        assert "by development until" in paused
        assert "&lt;move&gt;" in paused
        assert "Schedule jobs.nightly is paused" in client.get("/opa").text
        assert do(client, "/schedule/resume", name="jobs.nightly").status_code == 303
        assert "by development" not in client.get("/opa/schedule").text
        for action, fields in (("pause", {"length": "9"}), ("pause", {"length": ""}), ("run", {}), ("resume", {})):
            assert do(client, f"/schedule/{action}", name="jobs.nightl", **fields).status_code == 400
        run = do(client, "/schedule/run", name="jobs.nightly").headers["location"]
        assert client.get(run).status_code == 200, "the browser goes there at once, before the run is recorded"
        wait_until(lambda: "succeeded</span>" in client.get(run).text, what=lambda: client.get(run).text)
        assert "jobs.nightly" in client.get(run).text
        assert "development" in client.get(run).text, "who has asked for it is in its record"


def test_a_page_of_another_site_does_nothing(jobs: RunsProject) -> None:
    with TestClient(jobs.tasks.project.app(), base_url="http://localhost") as client:
        for headers in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "null"}):
            for path in ("/tasks/jobs.report", "/schedule/pause", "/schedule/run", "/runs/x/again", "/runs/x/cancel"):
                assert client.post(f"/opa{path}", data={"name": "x"}, headers=headers).status_code == 403
        assert do(client, "/schedule/pause", name="jobs.nightly").status_code == 303


def test_what_stands_in_redis_or_a_url_is_no_error_of_the_server(
    idle: RunsProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENV", "dev")
    shown = {
        "half": '{"t": "jobs.report", "s": "failed", "e": "\\ud800"}',
        "a/b?": '{"t": "x", "s": "failed", "ts": 5}',
    }
    refused = {"late": '{"s": "failed", "ts": 1e300}', "none": '{"s": "failed", "te": NaN, "ts": 5}'}
    for name, text in (shown | refused).items():
        idle.client.set(f"{idle.prefix}run:{name}", text)
        for index in ("all", "state:failed"):
            idle.client.zadd(f"{idle.prefix}{index}", {name: 4e9})
    with TestClient(idle.tasks.project.app(), base_url="http://localhost") as client:

        def status(path: str, **headers: str) -> int:
            return client.get(f"/opa{path}", headers=headers).status_code

        assert status("") == status("/runs/") == status("/tasks/") == 200
        page = client.get("/opa/runs").text
        assert 'href="/opa/runs/a/b%3F"' in page
        assert status("/runs/a/b%3F") == status("/runs/a%2Fb%3F") == status("/runs/half") == 200
        for name in refused:
            assert status(f"/runs/{name}") == 404
            assert status(f"/runs/{name}", Accept="text/event-stream") == 404, "a browser would ask without end"
        for cursor in ("x", "nan:0", "1:-1", f"1:{10**30}", "1:2:3", "%00", "9" * 5000):
            assert status(f"/runs?cursor={cursor}") == 400, cursor

        assert status("/tasks/jobs.of%2F%3Call%3E%3F") == 200
        odd = "/tasks/jobs.of/%3Call%3E%3F"
        assert f'action="/opa{odd}"' in client.get(f"/opa{odd}").text
        assert do(client, odd).status_code == 303
        for more in ('{"__type__": "datetime", "__value__": "never"}', "[" * 900 + "]" * 900):
            assert do(client, odd, more=more).status_code == 400
