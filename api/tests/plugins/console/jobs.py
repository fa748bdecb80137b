"""Tasks for the console to show, and what a user does on its pages."""

from __future__ import annotations

from typing import Any

from starlette.testclient import TestClient

JOBS = """
    from opa import log, task

    @task
    def report(name: str, pages: int = 3, draft: bool = False, more: dict | None = None) -> str:
        '''Write <a> report.'''
        log.info("writing <b> {}", name)
        if name == "bad":
            raise LookupError("no <such> report")
        return f"{name}: {pages} {draft} {more}"

    @task(name="jobs.of/<all>?")
    def odd(more: dict | None = None) -> None:
        pass

    @task(schedule="0 3 * * *")
    def nightly() -> None:
        '''Clean up.'''
"""
OWN = {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}


def do(client: TestClient, path: str, **fields: str) -> Any:
    return client.post(f"/opa{path}", data=fields, headers=OWN, follow_redirects=False)
