"""Routes without a component: an application takes some hundredths of a second."""

from datetime import UTC, datetime

import pytest

from opa.testing import OpaClient


def test_the_time_is_written_as_is_asked_for(opa_client: OpaClient) -> None:
    assert opa_client.get("/time", params={"format": "%Z the year %Y"}).json().endswith(f"{datetime.now(UTC):%Y}")


@pytest.mark.parametrize(("month", "name"), [(1, "January"), (12, "December")])
def test_months_have_names(opa_client: OpaClient, month: int, name: str) -> None:
    assert opa_client.get(f"/month/{month}").json() == name


def test_there_is_no_month_13(opa_client: OpaClient) -> None:
    assert opa_client.get("/month/13").status_code == 422


@pytest.mark.opa(settings={"PLUGIN_BLACKLIST_TAGS": ["slow"]})
def test_a_plugin_may_be_left_out(opa_client: OpaClient) -> None:
    assert opa_client.get("/sleep-sync/0").status_code == 404
