from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.project import Project
from tests.servers import Server


@pytest.fixture
def demo(project: Project) -> Project:
    project.settings(PLUGIN_PATHS=["opa:demo-plugins"])
    return project


def test_a_route_and_a_function_from_another_plugin(demo: Project) -> None:
    with demo.client() as client:
        assert client.get("/demo/hello", params={"name": "you"}).json() == {"message": "Hello, you!"}
        assert client.get("/demo/double/21").json() == {"number": 42}


def test_the_hook_of_the_highest_order_greets(demo: Project) -> None:
    with demo.client() as client:
        assert client.get("/demo/greeting/Ada").json() == {"greeting": "Good day, Ada"}


def test_the_default_greets_where_the_other_is_filtered_out_by_its_tag(demo: Project) -> None:
    demo.settings(PLUGIN_BLACKLIST_TAGS=["formal"])
    with demo.client() as client:
        assert client.get("/demo/greeting/Ada").json() == {"greeting": "Hi Ada"}


def test_the_setup_of_the_demo_plugin_has_run(demo: Project) -> None:
    with demo.client() as client:
        assert 0 <= client.get("/demo/uptime").json()["seconds"] < 60


def test_both_drivers_count_the_same_counter(demo: Project, start_redis: Callable[[], Server]) -> None:
    url = start_redis().url
    demo.component("AIOREDIS", "redis-aioredis", URL=url)
    demo.component("WALRUS", "redis-walrus", URL=url)
    with demo.client() as client:
        assert client.post("/demo/counter/async").json() == {"counter": 1}
        assert client.post("/demo/counter/sync").json() == {"counter": 2}


def test_without_redis_the_counter_answers_503(demo: Project) -> None:
    with demo.client() as client:
        assert client.post("/demo/counter/async").status_code == 503


def test_every_url_stands_under_demo_and_every_plugin_has_the_tag(demo: Project) -> None:
    manager = demo.prepare()
    own = [found.plugin for found in manager.decisions if not found.plugin.is_built_in]
    assert own
    assert all(plugin.name.startswith("demo_") and "demo" in plugin.metadata.tags for plugin in own)
    with demo.client() as client:
        assert all(path.startswith("/demo/") for path in client.get("/openapi.json").json()["paths"])


def test_demo_plugins_are_loaded_in_development(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in (project.folder / "settings").iterdir():
        file.unlink()
    assert "opa:demo-plugins" not in project.config().PLUGIN_PATHS
    monkeypatch.setenv("ENV", "dev")
    assert "opa:demo-plugins" in project.config().PLUGIN_PATHS
