"""`.env.example` and what the compose files read are the same."""

from __future__ import annotations

import re

from tests.docker.engine import COMPOSE_DEV_FILE, COMPOSE_FILE, ENV_EXAMPLE

COMPOSE = COMPOSE_FILE.read_text() + COMPOSE_DEV_FILE.read_text()


def defaults_in_compose_files() -> set[tuple[str, str]]:
    return set(re.findall(r"\$\{(\w+):-([^}]*)\}", COMPOSE))


def passed_on_by_compose_files() -> set[str]:
    return set(re.findall(r"^ +([A-Z_]+):$", COMPOSE, re.MULTILINE))


def test_every_variable_stands_in_the_example_with_its_default() -> None:
    example = set(re.findall(r"^(\w+)=(.*)$", ENV_EXAMPLE.read_text(), re.MULTILINE))
    assert example == defaults_in_compose_files()


def test_every_variable_that_is_passed_on_stands_in_the_example_without_a_value() -> None:
    example = set(re.findall(r"^#(\w+)=", ENV_EXAMPLE.read_text(), re.MULTILINE))
    assert example == passed_on_by_compose_files()


def test_no_variable_is_read_in_another_way() -> None:
    read = set(re.findall(r"(?<!\$)\$\{?(\w+)", COMPOSE))
    assert read == {name for name, _ in defaults_in_compose_files()}


def test_ports_are_published_on_loopback_alone() -> None:
    published = re.findall(r"^      - (\S*:\d+)$", COMPOSE, re.MULTILINE)
    assert len(published) == 5
    assert all(port.startswith("127.0.0.1:") for port in published)
