from __future__ import annotations

from starlette.testclient import TestClient

from tests.project import Project

DRIVER = """
    from opa import Driver

    class Fake(Driver):
        name = "fake"

        def connect(self):
            self.instance = object()
"""


def test_a_process_that_serves_is_alive(project: Project) -> None:
    with project.client() as client:
        answer = client.get("/healthz")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        assert answer.headers["cache-control"] == "no-store"
        assert client.head("/healthz").status_code == 200


def test_the_api_is_ready_with_the_available_components(project: Project) -> None:
    project.plugin("fake.py", DRIVER)
    project.component("HERE", "fake", URL="fake://user:hunter2@localhost")
    project.component("GONE", "fake", load="auto", URL="fake://user:hunter2@no-such-host.invalid")
    project.settings(READY_DETAILS=True)
    with project.client() as client:
        answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ready"
    components = {found["name"]: found for found in answer.json()["components"]}
    assert components["here"] == {"name": "here", "status": "connected"}
    assert components["gone"]["status"] == "not loaded"
    assert "'no-such-host.invalid' does not resolve" in components["gone"]["reason"]
    assert components["walrus"] == {"name": "walrus", "status": "not loaded", "reason": "LOAD is no"}
    assert "hunter2" not in answer.text


def test_strangers_are_told_states_and_no_reasons(project: Project) -> None:
    project.plugin("fake.py", DRIVER)
    project.plugin("broken.py", "import nowhere_to_be_found")
    project.component("HERE", "fake", URL="fake://localhost")
    project.component("GONE", "fake", load="auto", URL="fake://no-such-host.invalid")
    project.settings(PLUGIN_OPTIONS={"broken": {"FAILURE": "skip"}})
    with project.client() as client:
        answer = client.get("/readyz")
    assert answer.status_code == 200
    components = {found["name"]: found for found in answer.json()["components"]}
    assert components["here"] == {"name": "here", "status": "connected"}
    assert components["gone"] == {"name": "gone", "status": "not loaded"}
    assert answer.json()["plugins"] == [{"name": "broken", "status": "skipped"}]
    assert "invalid" not in answer.text
    assert "nowhere" not in answer.text


def test_the_api_is_not_ready_before_its_components_are_connected(project: Project) -> None:
    project.plugin("fake.py", DRIVER)
    project.component("HERE", "fake")
    answer = TestClient(project.app()).get("/readyz")  # without its lifespan, so nothing has connected
    assert answer.status_code == 503
    assert answer.json()["status"] == "not ready"
    assert {"here": "not connected yet"}.items() <= {
        found["name"]: found["status"] for found in answer.json()["components"]
    }.items()


def test_the_api_is_not_ready_after_its_components_are_disconnected(project: Project) -> None:
    project.plugin("fake.py", DRIVER)
    project.component("HERE", "fake")
    with project.client() as client:
        assert client.get("/readyz").status_code == 200
    assert client.get("/readyz").status_code == 503


def test_the_urls_of_the_health_routes_can_be_set(project: Project) -> None:
    project.settings(HEALTH_URL="/alive", READY_URL="/ready")
    with project.client() as client:
        assert client.get("/alive").status_code == 200
        assert client.get("/ready").status_code == 200
        assert client.get("/healthz").status_code == 404
        assert client.get("/readyz").status_code == 404


def test_each_health_route_can_be_turned_off(project: Project) -> None:
    project.settings(HEALTH_URL=None, READY_URL=None)
    with project.client() as client:
        assert client.get("/healthz").status_code == 404
        assert client.get("/readyz").status_code == 404


def test_readiness_counts_the_plugins_that_are_loaded(project: Project) -> None:
    with project.client() as client:
        assert client.get("/readyz").json()["plugins_loaded"] == 0
    for name in ("one", "two"):
        project.plugin(f"{name}.py")
    project.plugin("broken.py", "import nowhere_to_be_found")
    project.settings(PLUGIN_FAILURE="skip")
    with project.client() as client:
        answer = client.get("/readyz").json()
    assert answer["plugins_loaded"] == 2
    assert answer["plugins"] == [{"name": "broken", "status": "skipped"}]
