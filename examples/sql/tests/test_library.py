"""The routes and the task, on a SQLite file that is empty for each test."""

from opa.testing import OpaClient, OpaTasks

EMMA = {"title": "Emma", "author": "Jane Austen", "year": 1815}


def test_a_book_is_created_changed_and_deleted(opa_client: OpaClient) -> None:
    created = opa_client.post("/books", json=EMMA)
    assert created.status_code == 201
    path = f"/books/{created.json()['id']}"
    assert opa_client.put(path, json={**EMMA, "year": 1816}).json()["year"] == 1816
    assert opa_client.get(path).json()["author"]["name"] == "Jane Austen"
    assert opa_client.delete(path).status_code == 204
    assert opa_client.get(path).status_code == 404


def test_a_second_one_is_a_conflict_and_changes_nothing(opa_client: OpaClient) -> None:
    opa_client.post("/books", json=EMMA)
    assert opa_client.post("/books", json=EMMA).status_code == 409
    assert len(opa_client.get("/books").json()) == 1


def test_an_import_adds_what_is_new(opa_client: OpaClient, opa_tasks: OpaTasks) -> None:
    opa_client.post("/books", json=EMMA)
    opa_client.post("/books/import", json=[EMMA, {**EMMA, "title": "Persuasion"}])
    [run] = opa_tasks.run()
    assert run.result == 1
    opa_client.post("/books/import", json=[EMMA])
    assert opa_tasks.run()[0].result == 0
    assert [book["title"] for book in opa_client.get("/books?author=Jane+Austen").json()] == ["Emma", "Persuasion"]
