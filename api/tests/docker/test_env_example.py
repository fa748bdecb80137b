"""`.env.example` and what the compose files read are the same."""

from __future__ import annotations

import re

from dynaconf.vendor.ruamel.yaml import YAML

from opa.scaffold.template import project_files
from tests.docker.engine import COMPOSE_DEV_FILE, COMPOSE_FILE, COMPOSE_PROD_FILE, ENV_EXAMPLE

COMPOSE = COMPOSE_FILE.read_text() + COMPOSE_DEV_FILE.read_text()
PRODUCTION = COMPOSE_PROD_FILE.read_text()
EXAMPLE = ENV_EXAMPLE.read_text()
READ = re.compile(r"(?<!\$)\$\{?(\w+)")


def with_a_value() -> set[tuple[str, str]]:
    return set(re.findall(r"^(\w+)=(.*)$", EXAMPLE, re.MULTILINE))


def without_a_value() -> set[str]:
    return set(re.findall(r"^#(\w+)=", EXAMPLE, re.MULTILINE))


def defaults_in_compose_files() -> set[tuple[str, str]]:
    return set(re.findall(r"\$\{(\w+):-([^}]*)\}", COMPOSE))


def passed_on_by_compose_files() -> set[str]:
    return set(re.findall(r"^ +([A-Z_]+):$", COMPOSE, re.MULTILINE))


def test_every_variable_stands_in_the_example_with_its_default() -> None:
    assert with_a_value() == defaults_in_compose_files()


def test_every_variable_that_is_passed_on_stands_in_the_example_without_a_value() -> None:
    names = {name for name, _ in with_a_value()}
    of_production = {name for name in READ.findall(PRODUCTION) if name not in names} | {"COMPOSE_FILE"}
    assert without_a_value() == passed_on_by_compose_files() | of_production


def test_the_defaults_of_production_are_said_in_the_example() -> None:
    defaults = re.findall(r"\$\{(\w+):-([^}]*)\}", PRODUCTION)
    assert [name for name, default in defaults if default not in EXAMPLE] == []


def test_the_passwords_of_production_come_from_no_variable() -> None:
    assert not [name for name in READ.findall(PRODUCTION) if "PASS" in name or "KEY" in name]


def test_no_variable_is_read_in_another_way() -> None:
    read = set(READ.findall(COMPOSE))
    assert read == {name for name, _ in defaults_in_compose_files()}


def test_ports_are_published_on_loopback_alone() -> None:
    published = re.findall(r"^      - (\S*:\d+)$", COMPOSE, re.MULTILINE)
    assert len(published) == 5
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_containers_know_which_services_start_with_a_profile_alone() -> None:
    (template,) = (file.text for file in project_files("shop") if file.path == "docker-compose.yml")
    for text in (COMPOSE_FILE.read_text(), template):
        services = YAML(typ="safe").load(text)["services"]
        named = {(name, profile) for name, service in services.items() for profile in service.get("profiles", ())}
        for name in ("api", "worker", "beat"):
            told = services[name]["environment"]["SERVICE_PROFILES"].split()
            assert {tuple(item.split("=")) for item in told} == named != set()
