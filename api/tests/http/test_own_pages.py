"""Hosts that can only be this machine; requests of our own pages are tested with sessions and with the console."""

from __future__ import annotations

import pytest

from opa import is_own_host
from tests.project import Project


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        *((host, True) for host in ("localhost", "shop.localhost", "127.0.0.1", "10.0.0.7", "::1", "[::1]")),
        *((host, False) for host in ("example.com", "localhost.example.com", "127.0.0.1.example.com", "", "mylocal")),
    ],
)
def test_a_host_is_our_own_where_nobody_can_have_pointed_it_here(project: Project, host: str, is_own: bool) -> None:
    project.prepare()
    assert is_own_host(host) is is_own


def test_with_trusted_hosts_no_other_name_has_come_this_far(project: Project) -> None:
    project.settings(TRUSTED_HOSTS=["shop.example.com"])
    project.prepare()
    assert is_own_host("shop.example.com")
    project.settings(TRUSTED_HOSTS=["*"])
    project.prepare()
    assert not is_own_host("shop.example.com")
