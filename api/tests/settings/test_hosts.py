from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.settings_folder import SettingsFolder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SettingsFolder:
    return SettingsFolder(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("origin", "advice"),
    [
        ("https://a.example/", 'write "https://a.example"'),
        ("https://a.example/path", 'write "https://a.example"'),
        ("https://A.Example", 'write "https://a.example"'),
        ("https://a.example:443", 'write "https://a.example"'),
        ("http://a.example:80", 'write "http://a.example"'),
        ("a.example", 'write "https://a.example"'),
        ("localhost:3000", 'write "https://localhost:3000"'),
        ("*.a.example", "name each origin"),
        ("https://*.a.example", "name each origin"),
        ("https://a.example https://b.example", "each origin as an item of its own"),
        ("", "remove it"),
        ("https://b\u00fccher.example", 'write "https://xn--bcher-kva.example"'),
        ("https://a.example:99999", "it is not an origin"),
        ("file:///", "it is not an origin"),
        ("https://", "it is not an origin"),
    ],
)
def test_an_origin_that_no_browser_sends_is_a_mistake_at_start(
    folder: SettingsFolder, origin: str, advice: str
) -> None:
    folder.variables(OPA_ALLOW_ORIGINS=f'@json ["{origin}"]')
    (mistake,) = folder.mistakes()
    assert mistake.startswith("ALLOW_ORIGINS: is ")
    assert f'should not have "{origin}"' in mistake
    assert advice in mistake


@pytest.mark.parametrize(
    "origin", ["https://a.example", "http://localhost:3000", "*", "null", "capacitor://localhost", "file://"]
)
def test_an_origin_as_a_browser_sends_it_is_taken(folder: SettingsFolder, origin: str) -> None:
    folder.variables(OPA_ALLOW_ORIGINS=origin if origin != "null" else '@json ["null"]')
    assert folder.load().as_dict()["ALLOW_ORIGINS"] == [origin]


@pytest.mark.parametrize("origin", ["null", "file://"])
def test_an_opaque_origin_cannot_be_combined_with_credentials(folder: SettingsFolder, origin: str) -> None:
    folder.variables(OPA_ALLOW_ORIGINS=f'@json ["{origin}"]', OPA_ALLOW_CREDENTIALS="true")
    (mistake,) = folder.mistakes()
    assert f'should be false while ALLOW_ORIGINS has "{origin}"' in mistake


@pytest.mark.parametrize(
    ("host", "advice"),
    [
        ("https://a.example", 'write "a.example"'),
        ("a.example:8000", 'write "a.example"'),
        ("A.example", 'write "a.example"'),
        ("a.*", 'write such as "example.com"'),
        ("", 'write such as "example.com"'),
    ],
)
def test_a_trusted_host_that_is_none_is_a_mistake_at_start(folder: SettingsFolder, host: str, advice: str) -> None:
    folder.variables(OPA_TRUSTED_HOSTS=f'@json ["{host}"]')
    (mistake,) = folder.mistakes()
    assert mistake.startswith("TRUSTED_HOSTS: is ")
    assert advice in mistake


@pytest.mark.parametrize("host", ["a.example", "*.a.example", "localhost", "127.0.0.1", "[::1]", "*"])
def test_a_trusted_host_is_taken(folder: SettingsFolder, host: str) -> None:
    folder.variables(OPA_TRUSTED_HOSTS=host)
    assert folder.load().as_dict()["TRUSTED_HOSTS"] == [host]


@pytest.mark.parametrize("setting", ["HOST", "DEBUGPY_HOST"])
@pytest.mark.parametrize(
    ("host", "advice"),
    [
        ("no host", 'write such as "127.0.0.1"'),
        ("127.0.0.1 x", 'write such as "127.0.0.1"'),
        (" localhost", 'write "localhost"'),
        ("0.0.0.0:8000", 'write "0.0.0.0", the port is a setting of its own'),
        ("http://localhost/", 'write "localhost"'),
        ("[::1]", 'write "::1"'),
        ("[::1]:8000", 'write "::1", the port is a setting of its own'),
        ("*", 'write "0.0.0.0"'),
        ("300.1.1.1", 'write such as "127.0.0.1"'),
        ("1.2.3.4.5", 'write such as "127.0.0.1"'),
        ("a..b", 'write such as "127.0.0.1"'),
        ("-a", 'write such as "127.0.0.1"'),
        ("a" * 64, 'write such as "127.0.0.1"'),
        ("/run/opa.sock", 'write such as "127.0.0.1"'),
    ],
)
def test_a_host_that_is_no_address_to_listen_on_is_a_mistake_that_names_the_file(
    folder: SettingsFolder, setting: str, host: str, advice: str
) -> None:
    folder.file("a.yaml", f"default:\n  {setting}: {json.dumps(host)}\n")
    (mistake,) = folder.mistakes()
    assert mistake.startswith(f"{setting}: ")
    assert "should be an address or the name of a host" in mistake
    assert advice in mistake
    assert "(a.yaml [default])" in mistake


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "0.0.0.0",
        "0",
        "127.1",
        "::",
        "::1",
        "fe80::1%eth0",
        "localhost",
        "my_api-1",
        "a.example.",
        "büro.de",
    ],
)
def test_an_address_to_listen_on_is_taken(folder: SettingsFolder, host: str) -> None:
    folder.variables(OPA_HOST=f"@json {json.dumps(host)}")
    assert folder.load().as_dict()["HOST"] == host
