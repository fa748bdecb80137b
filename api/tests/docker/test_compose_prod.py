"""The production stack: docker-compose.prod.yml on top of docker-compose.yml."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docker.engine import COMPOSE_PROD_FILE, Answer, Stack, running, write_plugin
from tests.docker.production import (
    SERVICES,
    assert_is_of_production_without_rights,
    let_in_with_passwords_of_development,
    published,
    secrets_in,
    where_secrets_are_shown,
)
from tests.no_answer import NO_ANSWER
from tests.serve.process import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

PLUGIN = """
from opa import get_instance, get_router, task

router = get_router()


@task
async def double(number: int) -> int:
    return 2 * number


@router.get("/redis")
def redis() -> bool:
    return get_instance("walrus").ping()


@router.get("/mongo")
async def mongo() -> int:
    calls = get_instance("mongodb").get_default_database().calls
    await calls.insert_one({})
    return await calls.count_documents({})


@router.get("/task")
async def run_task() -> int:
    result = await double.send(21)
    return await result.get(timeout=60)
"""

OURS = ("api", "worker", "beat", "flower")
SECRETS = {
    *("redis_password", "mongo_password", "mongo_root_password", "rabbitmq_password", "postgres_password"),
    *("secret_key", "flower_basic_auth"),
}

# One that a user has written, with what means something to a shell, a configuration file of redis, a URL and Compose;
# and one that was written as most files are.
PLANTED = '7f3a9c51e20bd846"\\ p@/:%41#$HOME$$'
PLANT = rf"""
umask 337
cat > /secrets/redis_password <<'END'
{PLANTED}
END
chgrp 10001 /secrets/redis_password
echo 51b0e4aa90c7d312-of-a-user > /secrets/rabbitmq_password
chmod 644 /secrets/rabbitmq_password
"""
CLOSE = "chgrp 10001 /secrets/rabbitmq_password; chmod 440 /secrets/rabbitmq_password"
SHOW = "cd /secrets; echo they are:; stat -c '%n %a %u %g' *; echo; tail -n +1 *"


@dataclass
class Production:
    """The stack, and what was said on the way to it."""

    stack: Stack
    without_secrets: str
    with_an_open_secret: str
    secrets: dict[str, str]
    modes: str


@pytest.fixture(scope="module")
def production(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    stack = Stack(tmp_path_factory.mktemp("prod"), image, COMPOSE_PROD_FILE, {"TRUSTED_HOSTS": "127.0.0.1"})
    write_plugin(stack.plugins, "services.py", PLUGIN)
    as_root = ("run", "--rm", "-T", "secrets")
    try:
        without_secrets = stack.compose("up", "--detach", check=False)
        (stack.folder / "secrets").mkdir()  # by whoever runs the tests, who can remove it
        stack.compose(*as_root, PLANT)
        with_an_open_secret = stack.compose(*as_root, check=False)
        listing = stack.compose(*as_root, f"{CLOSE}; {SHOW}")
    except BaseException:
        stack.compose("down", "--volumes", check=False)
        raise
    modes, _, contents = listing.partition("they are:\n")[2].partition("\n\n")
    secrets = secrets_in(contents)
    with running(stack):
        yield Production(stack, without_secrets, with_an_open_secret, secrets, modes)


@pytest.fixture(scope="module")
def stack(production: Production) -> Stack:
    return production.stack


def test_without_its_hosts_it_does_not_start_and_says_what_to_set(image: str, tmp_path: Path) -> None:
    output = Stack(tmp_path, image, COMPOSE_PROD_FILE, {"TRUSTED_HOSTS": ""}).compose("up", "--detach", check=False)

    assert "required variable TRUSTED_HOSTS is missing a value: name the hosts" in output


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_a_folder_or_a_link_to_nothing_is_not_taken_for_a_secret(tmp_path: Path, kind: str) -> None:
    """It was said to be there, or made, and the stack did not start."""
    (found,) = re.findall(r"( +cd /secrets\n(?:.*\n)*?)    environment:", COMPOSE_PROD_FILE.read_text())
    script = found.replace("$$", "$").replace("/dev/shm", str(tmp_path)).replace("/secrets", str(tmp_path))
    if kind == "folder":
        (tmp_path / "redis_password").mkdir()
    else:
        (tmp_path / "redis_password").symlink_to(tmp_path / "nothing")
    done = subprocess.run(
        ["sh", "-euc", script], check=False, env={"PATH": os.defpath, "FLOWER_USER": "flower"}, capture_output=True
    )
    assert done.returncode == 1
    assert b"redis_password is a folder" in done.stderr
    assert b"redis_password is" not in done.stdout


def test_without_secrets_it_does_not_start_and_names_the_file(production: Production) -> None:
    assert f"bind source path does not exist: {production.stack.folder}/secrets/" in production.without_secrets


def test_secrets_that_are_there_are_kept_and_the_others_are_made(production: Production) -> None:
    assert "redis_password is there" in production.with_an_open_secret
    assert "mongo_password is made" in production.with_an_open_secret
    assert set(production.secrets) == SECRETS
    assert production.secrets["redis_password"].strip() == PLANTED
    made = SECRETS - {"redis_password", "rabbitmq_password"}
    values = [production.secrets[name].strip().removeprefix("flower:") for name in made]
    assert {len(bytes.fromhex(value)) for value in values} == {32}
    assert len(set(values)) == len(made)


def test_secrets_are_for_root_and_the_group_of_the_image_alone(production: Production) -> None:
    assert production.modes.splitlines() == [f"{name} 440 0 10001" for name in sorted(SECRETS)]


def test_a_secret_that_everybody_can_read_is_named(production: Production) -> None:
    assert "Everybody on this machine has access to these" in production.with_an_open_secret
    named = [word for word in production.with_an_open_secret.split() if word.startswith("./")]
    assert named == ["./rabbitmq_password"]  # what the container writes and what Compose does come in any order


@pytest.mark.parametrize(("route", "answer"), [("/redis", True), ("/mongo", 1), ("/task", 42)])
def test_a_route_uses_a_service_that_asks_for_its_password(stack: Stack, route: str, answer: object) -> None:
    assert stack.get(route) == Answer(200, answer)


def test_services_know_no_password_of_development(stack: Stack) -> None:
    assert let_in_with_passwords_of_development(stack.compose) == []


def flower(stack: Stack, password: str | None) -> tuple[int, str]:
    """What a container of its network gets from it."""
    address = stack.inspect("flower", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")
    request = urllib.request.Request(f"http://{address}:5555/workers")
    if password:
        request.add_header("Authorization", "Basic " + base64.b64encode(password.encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""
    except NO_ANSWER:
        return 0, ""


def test_flower_shows_the_worker_to_those_who_have_the_password(production: Production) -> None:
    stack, password = production.stack, production.secrets["flower_basic_auth"].strip()
    assert flower(stack, None)[0] == 401
    assert flower(stack, "flower:flower")[0] == 401
    host = stack.inspect("worker", "{{.Config.Hostname}}")
    wait_until(lambda: f"celery@{host}" in flower(stack, password)[1], what="flower shows the worker")


def test_nothing_but_the_api_is_published(stack: Stack) -> None:
    assert published(stack.name, OURS + SERVICES) == [("api", "8000/tcp", "127.0.0.1")]


@pytest.mark.parametrize("service", OURS)
def test_a_service_of_ours_is_of_production_and_has_no_rights(stack: Stack, service: str) -> None:
    assert_is_of_production_without_rights(stack.name, service)


def test_the_check_of_a_deployment_finds_nothing(stack: Stack) -> None:
    is_meant = """OPA_ACCESS=@json {"services": "open"}"""  # or else its routes are reported
    assert "deployment: 0 findings" in stack.compose("exec", "-T", "-e", is_meant, "api", "opa", "check", "--deploy")


def test_no_secret_is_shown_anywhere(production: Production) -> None:
    stack = production.stack
    assert where_secrets_are_shown(production.secrets, stack.name, OURS + SERVICES, stack.compose) == []
