"""The compose files of a new project: they agree with `.env.example`, and with those of the clone."""

from __future__ import annotations

import re

from opa.scaffold.template import project_files
from tests.docker.engine import COMPOSE_PROD_FILE

FILES = {file.path: file.text for file in project_files("shop")}
PRODUCTION = FILES["docker-compose.prod.yml"]
READ = re.compile(r"(?<!\$)\$\{(\w+)|^ +([A-Z_]+):$", re.MULTILINE)

OTHERWISE = {
    '"maxmemory $$MAXMEMORY"': '"maxmemory 512mb"',
    'user: "%s", pwd': 'user: "mongo", pwd',
    '"$$MONGO_INITDB_OPA_USERNAME" "$$password"': '"$$password"',
    '      MONGO_INITDB_ROOT_PASSWORD: ""\n      MONGO_INITDB_OPA_PASSWORD: ""\n': "",
    "    ports: !reset []\n": "",
    '"$$2$$(od': '"$$(od',
    'make $$name ""; done\n        make flower_basic_auth "$$FLOWER_USER:"\n': "make $$name; done\n",
}
"""What the file of the clone has, and that of a project has instead: fewer variables, and no Flower."""


def commands(production: str) -> dict[str, str]:
    """What the services do with their passwords, by service."""
    found = re.findall(r"^  (\w+):\n(?:    .*\n)*?(    command:\n(?:(?:      .*)?\n)*)", production, re.MULTILINE)
    return dict(found)


def test_every_variable_stands_in_the_example_and_no_other() -> None:
    compose = "".join(text for path, text in FILES.items() if path.startswith("docker-compose"))
    read = {name or passed_on for name, passed_on in READ.findall(compose)}
    example = set(re.findall(r"^#?([A-Z_]+)=", FILES[".env.example"], re.MULTILINE))
    assert example == read | {"OPA_STACK_IMAGE", "COMPOSE_FILE", "COMPOSE_PROFILES"}


def test_passwords_of_production_come_from_no_variable() -> None:
    names = {name or passed_on for name, passed_on in READ.findall(PRODUCTION)}
    assert not [name for name in names if "PASS" in name or "KEY" in name]


def test_in_production_services_take_their_passwords_as_those_of_the_clone_do() -> None:
    """A mistake that is found there is to be fixed here too."""
    clone = COMPOSE_PROD_FILE.read_text()
    for old, new in OTHERWISE.items():
        assert old in clone
        clone = clone.replace(old, new)
    assert commands(clone).keys() == {"secrets", "redis", "mongo", "rabbitmq", "postgres"}
    assert commands(PRODUCTION) == commands(clone)
