from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from opa.http.openapi.document import encode

SCHEMA: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "ü", "version": "1"},
    "paths": {"/a": {"get": {"responses": {200: {}}}}, "/b": {}},
    "components": {"schemas": {"A": {"type": "object"}}},
}
SERVERS = [{"url": "https://example.com"}]


def text(schema: Any) -> bytes:
    return json.dumps(schema, ensure_ascii=False, separators=(",", ":")).encode()


@pytest.mark.parametrize("schema", [{}, SCHEMA, {"a": []}, {"paths": {200: {}, None: {}}}, {5: [], True: {}}], ids=str)
def test_the_text_is_that_of_a_json_response(schema: dict[str, Any]) -> None:
    document = encode(schema)
    assert document.body == text(schema)
    assert gzip.decompress(document.compressed) == document.body


def test_bytes_in_a_document_are_json_already() -> None:
    assert encode({"paths": {"/a": b'{"get":{}}'}, "tags": b"[]"}).body == b'{"paths":{"/a":{"get":{}}},"tags":[]}'


def test_the_tag_is_that_of_the_content() -> None:
    assert encode(SCHEMA).etag == encode(dict(SCHEMA)).etag
    assert encode(SCHEMA).etag != encode({**SCHEMA, "info": {}}).etag


@pytest.mark.parametrize("before", [{}, {"servers": SERVERS}, {"servers": []}], ids=str)
def test_a_root_path_is_the_first_of_the_servers(before: dict[str, Any]) -> None:
    schema = {"openapi": "3.1.0", **before, "paths": {}}
    below = encode(schema).below("/api")
    schema["servers"] = [{"url": "/api"}, *before.get("servers", [])]
    assert below.body == text(schema)
    assert gzip.decompress(below.compressed) == below.body
    schema["servers"] = [{"url": "/more"}, *schema["servers"]]
    assert below.below("/more").body == text(schema)


@pytest.mark.parametrize("root_path", ["", "https://example.com"])
def test_a_root_path_that_is_known_changes_nothing(root_path: str) -> None:
    document = encode({"servers": SERVERS})
    assert document.below(root_path) is document
    below = document.below("/api")
    assert below.below("/api") is below


def test_a_number_that_json_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode({"paths": {"/a": float("inf")}})
