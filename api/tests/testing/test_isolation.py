from __future__ import annotations

from tests.testing.suite import Suite

STATEFUL = """
    import os
    from opa import config, get_router, state

    router = get_router()
    seen = []


    @router.post("/seen")
    def see() -> list[int]:
        seen.append(1)
        state["seen"] = state.get("seen", 0) + 1
        os.environ["SEEN"] = "yes"
        return [len(seen), state["seen"]]


    @router.get("/name")
    def name() -> str:
        return config.PROJECT_NAME
"""
TESTS = """
    import os
    import sys
    import logging

    import pytest

    import opa


    @pytest.mark.parametrize("number", range(2))
    def test_sees_nothing(opa_client, number):
        assert "SEEN" not in os.environ
        assert opa_client.post("/seen").json() == [1, 1]
        assert opa_client.post("/orders").json() == 1
        assert opa_client.get("/limit").json() == 10
        assert "shop" in sys.modules


    @pytest.mark.opa(settings={"PLUGIN_SETTINGS": {"shop": {"limit": 3}}, "PROJECT_NAME": "other"})
    def test_has_settings_of_its_own(opa_client):
        assert opa_client.get("/limit").json() == 3
        assert opa_client.get("/name").json() == "other"


    @pytest.mark.opa(plugins=["stateful"])
    def test_has_plugins_of_its_own(opa_client):
        assert opa_client.get("/limit").status_code == 404
        assert opa_client.get("/name").json() == "opa-stack"
        assert "shop" not in sys.modules


    def test_without_an_application():
        assert not {"shop", "stateful", "opa.plugins.core_health"} & set(sys.modules)
        assert "SEEN" not in os.environ
        assert os.environ["OPA_PROJECT_NAME"] == "of the shell"
        assert not any("Intercept" in type(handler).__name__ for handler in logging.getLogger().handlers)
        with pytest.raises(opa.OpaError):
            opa.get_plugin_manager()


    def test_sets_a_variable(monkeypatch, request):
        monkeypatch.setenv("OPA_PROJECT_NAME", "of the test")
        assert request.getfixturevalue("opa_client").get("/name").json() == "of the test"


    def test_has_warnings_of_its_own(opa_client):
        import warnings

        with pytest.warns(UserWarning, match="careful"):
            warnings.warn("careful")
"""


def test_two_tests_never_see_each_other_in_whatever_order(suite: Suite) -> None:
    suite.write("plugins/stateful.py", STATEFUL)
    suite.write("tests/test_many.py", TESTS)
    forth = suite.run("-W", "error").outcomes
    assert set(forth.values()) == {"PASSED"}
    suite.write("conftest.py", "def pytest_collection_modifyitems(items):\n    items.reverse()\n")
    assert suite.run("-W", "error").outcomes == forth


def test_a_child_that_a_test_forks_takes_nothing_from_the_others(suite: Suite) -> None:
    """It comes back from the test, as where it calls sys.exit: pytest goes on in it, to the end of the session."""
    suite.write(
        "tests/test_forks.py",
        """
        import os
        import sys

        def test_forks(opa_client):
            if not (child := os.fork()):
                sys.exit(3)
            os.waitpid(child, 0)
            assert opa_client.post("/orders").json() == 1

        def test_goes_on(opa_client):
            assert opa_client.post("/orders").json() == 1
        """,
    )
    run = suite.run()
    assert "2 passed" in run.text
    assert "1 failed, 1 passed" in run.text, "the child"


def test_tests_run_in_several_processes_at_once(suite: Suite) -> None:
    suite.write(
        "tests/test_many.py",
        """
        import pytest

        @pytest.mark.parametrize("number", range(8))
        def test_order(opa_client, number):
            assert [opa_client.post("/orders").json() for _ in range(5)] == [1, 2, 3, 4, 5]
        """,
    )
    outcomes = suite.run("-n", "2").outcomes
    assert len(outcomes) == 8
    assert set(outcomes.values()) == {"PASSED"}


def test_a_session_without_the_fixtures_imports_nothing_heavy(suite: Suite) -> None:
    suite.write(
        "tests/test_plain.py",
        """
        import sys

        def test_plain():
            heavy = {"fastapi", "starlette", "celery", "redis", "pymongo", "dynaconf", "loguru", "anyio"}
            assert heavy & set(sys.modules) <= {"anyio"}  # it has a plugin of its own
            assert {name for name in sys.modules if name.split(".")[0] == "opa"} == {
                "opa", "opa._compat", "opa._compat.pytest", "opa.testing", "opa.testing.pytest_plugin",
            }
        """,
    )
    assert suite.run().outcomes == {"test_plain": "PASSED"}
