from __future__ import annotations

from pathlib import Path

import pytest

from opa.process.cgroup import cpu_limit


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
    return root


def test_a_container_with_cgroup_v2_has_its_quota_at_the_root_of_the_mount(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "150000 100000"}
    assert cpu_limit(write(tmp_path, files)) == 1.5


def test_the_least_quota_of_the_cgroups_around_it_counts(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/team/app",
        "sys/fs/cgroup/team/cpu.max": "200000 100000",
        "sys/fs/cgroup/team/app/cpu.max": "max 100000",
    }
    assert cpu_limit(write(tmp_path, files)) == 2


def test_cgroup_v1_has_quota_and_period_in_two_files(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
    }
    assert cpu_limit(write(tmp_path, files)) == 0.5


def test_with_both_versions_mounted_the_one_with_a_quota_counts(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "1:cpu:/\n0::/",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "300000",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
    }
    assert cpu_limit(write(tmp_path, files)) == 3


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "max 100000"},
        {
            "proc/self/cgroup": "4:cpu:/",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        },
    ],
    ids=["no cgroups", "v2", "v1"],
)
def test_there_is_no_limit_without_a_quota(tmp_path: Path, files: dict[str, str]) -> None:
    assert cpu_limit(write(tmp_path, files)) is None
