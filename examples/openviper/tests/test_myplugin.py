"""What the files of the package do together, on a SQLite file that is empty for each test."""

from opa.testing import OpaClient, OpaTasks


def test_an_order_is_confirmed_by_the_handler_of_its_event(opa_client: OpaClient, opa_tasks: OpaTasks) -> None:
    created = opa_client.post("/orders", json={"item": "tea"})
    assert created.json() == {"id": 1, "cents": 75, "from": "https://service.example.com"}
    assert opa_client.get("/orders").json() == [{"id": 1, "item": "tea", "state": "new"}]
    opa_tasks.run()
    assert opa_client.get("/orders").json() == [{"id": 1, "item": "tea", "state": "confirmed"}]


def test_an_order_that_is_refused_has_no_event(opa_client: OpaClient, opa_tasks: OpaTasks) -> None:
    assert opa_client.post("/orders", json={"item": ""}).status_code == 422
    assert opa_tasks.run() == []


def test_the_page_names_files_that_are_there(opa_client: OpaClient) -> None:
    page = opa_client.get("/orders/page").text
    files = [part for part in page.split('"') if part.startswith("/static/myplugin/")]
    assert len(files) == 2
    assert {opa_client.get(file).status_code for file in files} == {200}


def test_who_has_the_scope_finds_the_orders_in_the_admin(opa_client: OpaClient) -> None:
    opa_client.post("/orders", json={"item": "tea"})
    page = {"Accept": "text/html"}
    away = opa_client.get("/admin/order/list", headers=page, follow_redirects=False)
    assert away.headers["location"].startswith("/sign-in?")
    assert opa_client.as_("bob", scopes=["admin:other:read"]).get("/admin/order/list").status_code == 403
    assert "tea" in opa_client.as_("ada", scopes=["admin:order:read"]).get("/admin/order/list", headers=page).text
