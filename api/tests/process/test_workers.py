from __future__ import annotations

import os
from pathlib import Path

import pytest

from opa.errors import StartError
from opa.process.workers import available_cpus, worker_count


def quota(root: Path, cpus: float) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text("0::/\n")
    (root / "sys/fs/cgroup").mkdir(parents=True)
    (root / "sys/fs/cgroup/cpu.max").write_text(f"{round(cpus * 100000)} 100000\n")
    return root


@pytest.mark.parametrize(("cpus", "workers"), [(0.25, 1), (1, 1), (1.5, 2)])
def test_a_part_of_a_cpu_counts_as_one(
    tmp_path: Path, cpus: float, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert available_cpus(quota(tmp_path, cpus)) == workers


def test_a_quota_is_no_more_than_the_cpus_that_there_are(tmp_path: Path) -> None:
    assert available_cpus(quota(tmp_path, 10_000)) == len(os.sched_getaffinity(0))


def test_web_concurrency_wins_over_the_setting() -> None:
    assert worker_count({"WEB_CONCURRENCY": "5"}, 3) == 5


def test_the_setting_wins_over_the_cpus(tmp_path: Path) -> None:
    assert worker_count({"WEB_CONCURRENCY": ""}, 3, root=quota(tmp_path, 1)) == 3


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_web_concurrency_that_is_no_number_of_workers_is_refused(text: str) -> None:
    with pytest.raises(StartError, match="WEB_CONCURRENCY"):
        worker_count({"WEB_CONCURRENCY": text}, 3)
