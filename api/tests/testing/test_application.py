from __future__ import annotations

from tests.testing.suite import Suite

TESTS = """
    import asyncio

    import pytest

    import opa


    def test_the_module_of_a_plugin_is_that_of_the_application(opa_app, opa_client):
        opa_app.plugin("shop").Settings.current().limit
        assert opa_client.get("/limit").json() == 10


    def test_a_function_runs_on_the_event_loop_of_the_application(opa_app):
        async def order(by):
            redis = opa.get_instance("aioredis")
            return await redis.incrby("orders", by)

        assert opa_app.run(order, 3) == 3
        assert opa_app.run(lambda: 7) == 7
        assert opa_app.component("AIOREDIS") is opa.get_instance("aioredis")


    def test_what_a_route_raises_is_raised(opa_client):
        with pytest.raises(ZeroDivisionError):
            opa_client.get("/fail")


    @pytest.mark.opa(raises=False)
    def test_what_a_route_raises_is_answered(opa_client):
        assert opa_client.get("/fail").status_code == 500


    @pytest.mark.opa(settings={"TRUSTED_HOSTS": ["shop.example"]})
    def test_the_client_asks_a_trusted_host(opa_client):
        assert opa_client.get("/limit").status_code == 200


    def test_users_are_signed_in(opa_client):
        ada = opa_client.as_("ada", scopes=["shop:*"], kind="session", claims={"mail": "ada@example.org"})
        assert ada.get("/who").json() == {"id": "ada", "kind": "session", "claims": {"mail": "ada@example.org"}}
        assert opa_client.as_("bob").get("/who").status_code == 403
        assert opa_client.get("/who").status_code == 401
        assert opa_client.get("/who", headers={"x-opa-testing-actor": "ada"}).status_code == 401


    @pytest.mark.opa(settings={"ACCESS_DEFAULT": "closed"})
    def test_users_are_asked_for_by_the_settings_too(opa_client):
        assert opa_client.get("/limit").status_code == 401
        assert opa_client.as_("ada").get("/limit").status_code == 200


    def test_what_a_test_leaves_behind_ends(opa_app):
        async def leave():
            asyncio.create_task(asyncio.sleep(1000))

        opa_app.run(leave)


    def test_websockets(opa_client):
        with opa_client.websocket_connect("/echo") as socket:
            socket.send_text("hello")
            assert socket.receive_text() == "hello"


    @pytest.mark.opa(plugins=["cart"])
    def test_a_plugin_comes_with_what_it_requires(opa_client):
        assert opa_client.get("/limit").json() == 10
        assert opa_client.get("/fail").status_code == 404
"""


def test_an_application_does_in_a_test_what_it_does_elsewhere(suite: Suite) -> None:
    suite.write(
        "plugins/fail.py",
        """
        from fastapi import WebSocket
        from opa import get_router

        router = get_router()

        @router.get("/fail")
        def fail() -> float:
            return 1 / 0

        @router.websocket("/echo")
        async def echo(websocket: WebSocket) -> None:
            await websocket.accept()
            await websocket.send_text(await websocket.receive_text())
    """,
    )
    suite.write("plugins/cart.py", "")
    suite.write("plugins/cart-meta.json", '{"requires": ["shop"]}')
    suite.write("tests/test_app.py", TESTS)
    outcomes = suite.run("-W", "error").outcomes
    assert len(outcomes) == 10
    assert set(outcomes.values()) == {"PASSED"}
