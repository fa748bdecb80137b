"""What WEBHOOKS_OUT may say, and what is said of what it may not."""

from __future__ import annotations

from typing import Any

import pytest

from opa.errors import SettingsError
from opa.introspection.settings import masked
from tests.project import Project

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CRM: dict[str, Any] = {"on": "orders.*", "url": "https://crm.example.org/x", "secret": SECRET}


def test_a_list_stands_for_a_mapping_by_the_name_or_the_host(project: Project) -> None:
    project.settings(WEBHOOKS_OUT=[CRM, {**CRM, "name": "second", "on": "a,b.*", "secret": [SECRET, "whsec_aGVsbG8"]}])
    found = project.prepare().config.WEBHOOKS_OUT
    assert list(found) == ["crm-example-org", "second"]
    assert found["crm-example-org"] == {"ON": ["orders.*"], "URL": CRM["url"], "SECRET": [SECRET]}
    assert found["second"]["ON"] == ["a", "b.*"]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"crm": {**CRM, "on": "a b"}}, "WEBHOOKS_OUT.crm.ON.*should have names of events, .*not 'a b'"),
        ({"crm": {**CRM, "on": []}}, "WEBHOOKS_OUT.crm.ON.*should name the events"),
        ({"crm": {**CRM, "url": "ftp://x"}}, "WEBHOOKS_OUT.crm.URL.*should be a URL with https:// or http://"),
        ({"crm": {**CRM, "url": "https://me:hunter2@x.org"}}, "WEBHOOKS_OUT.crm.URL.*no user or password"),
        ({"crm": {**CRM, "url": "https://x.org/#hunter2"}}, "without a fragment"),
        ({"crm": {**CRM, "url": "https://hunter2@x.org"}}, r'URL: is "https://\*\*\*", should have no user'),
        ({"crm": {**CRM, "url": "https://me:a/hunter2@x.org/"}}, r'URL: is "https://\*\*\*", should be a URL'),
        ({"crm": {**CRM, "url": "htps://x.org/hunter2?a=hunter2"}}, r'URL: is "htps://\*\*\*", should be a URL'),
        ({"crm": {**CRM, "url": "x.org/hunter2"}}, r'URL: is "\*\*\*", should be a URL'),
        ({"crm": {**CRM, "url": ["https://x.org/hunter2"]}}, "URL: .*should be text"),
        ([{**CRM, "url": "htps://x.org/hunter2", "name": [1]}], "should have a text as the NAME of webhook 1"),
        ({"crm": {**CRM, "secret": "hunter2"}}, "WEBHOOKS_OUT.crm.SECRET.*should be whsec_ and base64, or several"),
        ({"crm": {**CRM, "secret": "whsec_hunter2!"}}, "should be whsec_ and base64"),
        ({"crm": {**CRM, "secret": ["whsec_"]}}, "should be whsec_ and base64"),
        ({"crm": {**CRM, "secret": []}}, "should be whsec_ and base64"),
        ({"crm": {**CRM, "retries": 3}}, "WEBHOOKS_OUT.crm.RETRIES: is not a key"),
        ({"crm": {"on": "*"}}, "WEBHOOKS_OUT.crm.SECRET: is missing"),
        ({"a b": CRM}, "WEBHOOKS_OUT.a b.*should be a name of 1 to 64"),
        ([CRM, CRM], "should have a NAME for each webhook: two are called 'crm-example-org'"),
        ([{**CRM, "url": "http://[x"}], "WEBHOOKS_OUT.1.URL"),
        ([CRM, {**CRM, "name": ["hunter2"]}], "WEBHOOKS_OUT: .*should have a text as the NAME of webhook 2"),
        ([CRM, 7], "WEBHOOKS_OUT.2: should be a mapping"),
        (7, "WEBHOOKS_OUT: should be a mapping"),
    ],
)
def test_what_is_wrong_is_told_with_its_entry_and_without_a_secret(project: Project, value: Any, told: str) -> None:
    project.settings(WEBHOOKS_OUT=value)
    with pytest.raises(SettingsError, match=told) as error:
        project.prepare()
    assert "hunter2" not in str(error.value)


URLS = {
    "https://hooks.example.org/in/hunter2?token=hunter2": "https://hooks.example.org/***",
    "https://me:a/hunter2@hooks.example.org/": "https://***",
    "postgresql://me:hunter2@db/shop": "postgresql://***",
    "hooks.example.org/in/hunter2": "hooks.example.org/***",
}


@pytest.mark.parametrize(("url", "shown"), URLS.items())
def test_a_url_in_the_place_of_a_name_is_refused_and_shown_up_to_its_host(
    project: Project, url: str, shown: str
) -> None:
    for settings, told in (
        ({"WEBHOOKS_OUT": {url: CRM}}, f'WEBHOOKS_OUT.{shown}.[key]: is "***", should be a name of 1 to 64'),
        ({"WEBHOOKS_OUT": {url: {"on": "a"}}}, f"WEBHOOKS_OUT.{shown}.URL: is missing"),
        ({"WEBHOOKS_OUT": {url: "a"}}, f"WEBHOOKS_OUT.{shown}: should be a mapping"),
        ({"WEBHOOKS_OUT": [{**CRM, "name": url}]}, f"WEBHOOKS_OUT.{shown}.[key]: "),
        (
            {"WEBHOOKS_OUT": [{**CRM, "name": url}] * 2},
            f"should have a NAME for each webhook: two are called '{shown}'",
        ),
        ({"WEBHOOKS_OUT": {"crm": {**CRM, url: 1}}}, "is not a key of this mapping"),
        ({"NOTIFY": {url: {"type": "json"}}}, f"NOTIFY.{shown}.[key]: "),
    ):
        project.settings(**{"WEBHOOKS_OUT": {}, "NOTIFY": {}, **settings})
        with pytest.raises(SettingsError) as error:
            project.prepare()
        told_of = "\n".join(error.value.mistakes)
        assert told in told_of
        assert "hunter2" not in f"{error.value}{told_of}"


@pytest.mark.parametrize("url", [url for url in URLS if "://" in url])
def test_a_url_in_the_place_of_a_components_name_is_refused_without_its_secret(project: Project, url: str) -> None:
    project.component(url, "redis-aioredis")
    with pytest.raises(
        SettingsError, match="should be the name of a component: its URL belongs into OPTS.URL"
    ) as error:
        project.prepare()
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(("url", "shown"), [(url, shown) for url, shown in URLS.items() if "://" in url])
def test_the_name_of_a_setting_is_shown_without_the_secret_of_a_url_in_it(
    project: Project, url: str, shown: str
) -> None:
    project.settings(PLUGINS={url: []}, **{url: {"LIMIT": 1}})
    names = {leaf.name for leaf in masked(project.prepare().config.leaves(), dict)}
    assert f"PLUGINS.{shown}" in names
    assert not [name for name in names if "hunter2" in name]


def test_the_url_of_a_webhook_is_shown_up_to_its_host(project: Project) -> None:
    urls = {
        "https://crm.example.org/in/hunter2?a=hunter2": "https://crm.example.org/***",
        "http://[::1]:8080?hunter2": "http://[::1]:8080/***",
        "https://crm.example.org/": "https://crm.example.org/",
        "https://crm.example.org": "https://crm.example.org",
    }
    for url, shown in urls.items():
        project.settings(
            WEBHOOKS_OUT={"crm": {**CRM, "url": url}},
            NOTIFY={"ops": {"type": "json", "url": url, "console": "https://x.org/c"}},
        )
        found = {leaf.name: leaf.value for leaf in masked(project.prepare().config.leaves(), dict)}
        assert (found["WEBHOOKS_OUT.crm.URL"], found["NOTIFY.ops.URL"]) == (shown, shown)
        assert found["NOTIFY.ops.CONSOLE"] == "https://x.org/c"
