"""From nothing but Python and the wheel: a project does what its README says, in an empty folder and with Docker."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import httpx2
import pytest

import opa
from tests.distribution import build_wheel, install
from tests.docker.engine import docker as run_docker
from tests.docker.engine import unique
from tests.docker.production import (
    SERVICES,
    assert_is_of_production_without_rights,
    inspected,
    let_in_with_passwords_of_development,
    published,
    secrets_in,
    where_secrets_are_shown,
)
from tests.docs.blocks import Block
from tests.docs.page import Reader
from tests.local.up import descendants
from tests.serve.process import free_port, is_running, wait_until
from tests.wheels import Wheels

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("make") is None, reason="needs make"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
]

DOCKER = "## Run it with Docker"
DEPLOY = "## Deploy"
SQL = "## Use a SQL database"
AFTER_SQL = "## Keep up to date"
OURS = ("api", "worker", "beat")
HUMANIZE = """
def naturaldelta(seconds: float) -> str:
    return f"{seconds // 3600} hours"
"""


@dataclass
class Shop:
    """The project, and the environment of who works on it."""

    folder: Path
    bin: Path
    environ: dict[str, str]
    port: int = field(default_factory=free_port)

    def run(self, *words: str, **environ: str) -> str:
        """What a command prints that does not fail."""
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=self.environ | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, f"$ {' '.join(words)}\n{done.stdout}"
        return done.stdout

    def section(self, begin: str | None, end: str | None) -> Path:
        """A page with a part of the README: from one heading on, up to another."""
        text = (self.folder / "README.md").read_text()
        start = text.index(begin) if begin else 0
        page = self.folder.parent / "README.md"
        page.write_text(text[start : text.index(end, start) if end else len(text)])
        return page


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A project that `opa new` has made, where the wheel is installed and nothing else of opa-stack is."""
    work = tmp_path_factory.mktemp("work")
    wheel = build_wheel(tmp_path_factory.mktemp("wheel"))
    commands = install(wheel, work / "venv", "local", "sql", "admin", "testing", programs=TOOLS)
    wheels = Wheels(work / "wheels")
    wheels.add("humanize", "4.99.0", code=HUMANIZE, typed=True)
    for name in OF_EXTRAS:  # they are installed, and have to be found for the lock
        wheels.add(name, version(name))
    others = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OPA_", "PYTHON", "GIT_", "UV_", "PIP_", "MAKE", "MFLAGS", "COMPOSE_"))
        and name not in ("ENV", "MODE", "VIRTUAL_ENV", "MYPYPATH")
    }
    environ = others | {
        "VIRTUAL_ENV": str(work / "venv"),
        "PATH": f"{commands}:{os.environ['PATH']}",
        "PIP_NO_INDEX": "1",  # all is there
        "COLUMNS": "160",
        "OPA_LOG_FORMAT": "text",
        **wheels.environ(work / "cache"),
    }
    subprocess.run([commands / "opa", "new", "shop"], cwd=work, env=environ, check=True, stdout=subprocess.DEVNULL)
    made = Shop(work / "shop", commands, environ)
    # The README adds one with a task, and one with a table.
    made.run("opa", "new", "--plugin", "line_items")
    made.run("opa", "new", "--plugin", "parcels", "--sql", "--task")
    made.run("opa", "new", "--plugin", "shelves", "--admin")
    return made


TOOLS = ("mypy", "pip", "pytest", "ruff", "uv")
OF_EXTRAS = (
    "SQLAlchemy",
    "alembic",
    "aiosqlite",
    "asyncpg",
    "greenlet",
    "jinja2",
    "markupsafe",
    "psycopg",
    "starlette-admin",
)


class ShopReader(Reader):
    """Does what the README says, as it stands there."""

    patience = 60.0

    def __init__(self, shop: Shop) -> None:
        super().__init__()
        self.shop = shop
        self.printed: dict[str, str] = {}
        self._up: subprocess.Popen[bytes] | None = None
        self._client = httpx2.Client(
            base_url=f"http://127.0.0.1:{shop.port}",
            timeout=60,
            # As curl: a connection for each request, none of which outlives a reload. The first one may wait for that.
            transport=httpx2.HTTPTransport(retries=6, limits=httpx2.Limits(max_keepalive_connections=0)),
        )

    def write(self, block: Block) -> None:
        assert block.path is not None
        (self.shop.folder / block.path).write_text(block.text)

    def client(self) -> httpx2.Client:
        return self._client

    def run(self, words: list[str], environ: dict[str, str]) -> str | None:
        if words == ["make", "run"]:
            self._start()
            return ""
        printed = self.printed[" ".join(words)] = self.shop.run(*words, **environ)
        return printed

    def _start(self) -> None:
        with (self.shop.folder.parent / "up.log").open("wb") as log:
            self._up = subprocess.Popen(
                ["make", "run"],
                cwd=self.shop.folder,
                env=self.shop.environ | {"OPA_PORT": str(self.shop.port)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._is_ready, seconds=120, what="make run serves")

    def _is_ready(self) -> bool:
        assert self._up is not None
        assert self._up.poll() is None, self.log()
        try:
            return self._client.get("/readyz").status_code == 200
        except httpx2.TransportError:
            return False

    def log(self) -> str:
        """What `make run` has printed; empty as long as it was not run."""
        file = self.shop.folder.parent / "up.log"
        return file.read_text() if file.exists() else ""

    def close(self) -> None:
        """Leave nothing behind."""
        self._client.close()
        self.interrupt()

    def interrupt(self) -> None:
        """Ctrl-C, as a terminal sends it: to all processes of the foreground."""
        if self._up is not None and self._up.poll() is None:
            left = descendants(self._up.pid)
            os.killpg(self._up.pid, signal.SIGINT)
            self._up.wait(60)
            wait_until(lambda: not any(map(is_running, left)), what="all of opa up has ended")


@pytest.fixture(scope="module")
def reader(shop: Shop) -> Iterator[ShopReader]:
    """A reader who has done what the README says, up to the part about Docker."""
    reader = ShopReader(shop)
    try:
        reader.read(shop.section(None, DOCKER))
        yield reader
    except BaseException:
        print(reader.log()[-5000:])
        raise
    finally:
        reader.close()


def test_a_new_project_does_what_its_readme_says(reader: ShopReader) -> None:
    assert {"make install", "make run", "make test", "make lint", "opa deps"} <= set(reader.done)
    assert sum(command.startswith("curl") for command in reader.done) == 4
    assert "15 passed" in reader.printed["make test"], "those of the template, of four plugins and of the README"
    assert "warning" not in reader.printed["make test"]
    assert "Traceback" not in reader.log()


def test_its_lock_has_all_that_it_says_it_needs(reader: ShopReader) -> None:
    assert "humanize==4.99.0" in (reader.shop.folder / "plugins.lock").read_text()
    assert "ok: plugins.lock is up to date" in reader.shop.run("opa", "deps", "check")


def test_with_a_plugin_for_sql_it_does_what_its_readme_says(reader: ShopReader) -> None:
    reader.read(reader.shop.section(SQL, AFTER_SQL))
    assert "opa new --plugin books --sql" in reader.done
    assert (reader.shop.folder / ".opa" / "sql.db").is_file()
    assert (
        "# need: asyncpg>=0.32  # books (opa-stack[sql]), parcels (opa-stack[sql]), shelves (opa-stack[admin,sql])"
        in (reader.shop.folder / "plugins.lock").read_text()
    )
    assert "2 passed" in reader.shop.run("pytest", "-q", "tests/test_books.py")


def test_git_ignores_what_running_it_leaves(reader: ShopReader) -> None:
    reader.shop.run("git", "add", "--all")
    staged = reader.shop.run("git", "diff", "--cached", "--name-only").split()
    assert ".installed" not in staged
    assert not [path for path in staged if path.startswith((".opa/", ".mypy", ".ruff", ".pytest")) or "pycache" in path]


def index_of_pip() -> dict[str, str]:
    """The variables for the index of pip, where that stands in its configuration: uv does not read it.

    Without folders of this machine, which the build of an image does not have.
    """
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    found = re.findall(
        r"^(?:global|install)\.(index-url|extra-index-url|find-links|cert)='(.*)'$", listed.stdout, re.MULTILINE
    )
    variables = {
        f"PIP_{name.upper().replace('-', '_')}": " ".join(
            each for each in value.replace("\\n", " ").split() if "file:" not in each
        )
        for name, value in found
    }
    return {name: value for name, value in variables.items() if value}


@pytest.fixture(scope="module")
def docked(reader: ShopReader, docker: None, image: str) -> Iterator[Shop]:
    """The project, which nothing runs any more, with ports and names of its own for its containers.

    The packages come from the index, as in any build of an image, and not from this machine.
    """
    reader.interrupt()
    shop = reader.shop
    for file in ("plugins/shelves.py", "tests/test_shelves.py"):  # the README knows nothing of it
        (shop.folder / file).unlink()
    index = {name: value for name, value in os.environ.items() if name.startswith(("UV_", "PIP_"))}
    for name in ("UV_FIND_LINKS", "UV_NO_INDEX", "PIP_CONFIG_FILE", "PIP_NO_INDEX"):
        shop.environ.pop(name, None)
    shop.environ |= index | {
        "OPA_STACK_IMAGE": image,
        "IMAGE": unique("shop"),
        "COMPOSE_PROJECT_NAME": unique("shop"),
        "COMPOSE_PROFILES": "sql",
        "API_PORT": str(shop.port),
        "DEBUGPY_PORT": str(free_port()),
        "WORKER_DEBUGPY_PORT": str(free_port()),
    }
    try:
        shop.run("opa", "deps", "--upgrade", **(index_of_pip() | index))
        yield shop
    finally:
        both = {"COMPOSE_FILE": "docker-compose.yml:docker-compose.dev.yml"}
        shop.run("docker", "compose", "kill", **both)
        shop.run("docker", "compose", "down", "--volumes", "--remove-orphans", **both)
        run_docker("rmi", "--force", shop.environ["IMAGE"], check=False)


def read_docked(shop: Shop, begin: str, end: str) -> list[str]:
    """Do a part of the README with Docker; the commands that were done."""
    docked = ShopReader(shop)
    try:
        with contextlib.closing(docked):
            docked.read(shop.section(begin, end))
    except BaseException:
        print(shop.run("docker", "compose", "logs", "--no-color", "--tail", "50"))
        raise
    return docked.done


@pytest.mark.docker
def test_with_docker_it_does_what_its_readme_says(docked: Shop) -> None:
    done = read_docked(docked, DOCKER, DEPLOY)
    assert sum(command.startswith("curl") for command in done) == 3
    assert sum(command.startswith("docker compose") for command in done) == 4


ACCESS_OF_SQL = """\
default:
  ACCESS:
    dynaconf_merge: true
    /books: open
    /parcels: open
"""


@pytest.fixture(scope="module")
def deployed(docked: Shop) -> Shop:
    """The project in production, as its README says, by a user whose files no other can read."""
    docked.run("docker", "compose", "down", "--volumes")
    (docked.folder / "secrets").mkdir()  # by whoever runs the tests, who can remove it
    (docked.folder / "plugins" / "line_items.py").unlink()  # the README knows nothing of it
    for file in (docked.folder / "plugins").glob("*.py"):
        file.chmod(0o600)
    (docked.folder / "plugins").chmod(0o700)
    (docked.folder / "settings" / "parcels.yaml").write_text(ACCESS_OF_SQL)
    done = read_docked(docked, DEPLOY, SQL)
    assert any("opa check --deploy" in command for command in done)
    assert done[-1].startswith("curl")
    return docked


@pytest.mark.docker
def test_in_production_it_does_what_its_readme_says_and_nobody_gets_in_by_a_password_of_development(
    deployed: Shop,
) -> None:
    project = deployed.environ["COMPOSE_PROJECT_NAME"]

    def compose(*words: str) -> str:
        return deployed.run("docker", "compose", *words)

    overlay = (deployed.folder / "docker-compose.prod.yml").read_text()
    names = {*re.findall(r"^  (\w+): \{file: ", overlay, re.MULTILINE)}
    assert len(names) >= 5
    for service in OURS:
        assert_is_of_production_without_rights(project, service)
        mounted = {each["Destination"] for each in json.loads(inspected(project, service, "{{json .Mounts}}"))}
        assert mounted == {f"/run/secrets/{name}" for name in names - {"mongo_root_password"}}, (
            "plugins and settings are those of the image"
        )
    assert let_in_with_passwords_of_development(compose) == []
    services = (*OURS, *SERVICES, "postgres")
    assert published(project, services) == [("api", "8000/tcp", "127.0.0.1")]
    secrets = secrets_in(compose("run", "--rm", "-T", "secrets", "cd /secrets; tail -n +1 *"))
    assert secrets.keys() == names
    assert len({*secrets.values()}) == len(names)
    assert where_secrets_are_shown(secrets, project, services, compose) == []
    deployed.run("git", "add", "--all")
    staged = deployed.run("git", "diff", "--cached", "--name-only").split()
    assert not [path for path in staged if path.startswith((".env", "secrets")) and path != ".env.example"]


@pytest.mark.docker
def test_in_production_a_table_is_in_postgres_whose_password_is_not_that_of_development(deployed: Shop) -> None:
    url = f"http://127.0.0.1:{deployed.port}/parcels"
    with httpx2.Client(headers={"Host": "api.example.com"}, timeout=60) as client:
        assert client.post(url, json={"name": "tea"}).status_code == 201
        assert client.post(f"{url}/1/work").status_code == 202
        wait_until(lambda: client.get(f"{url}/1").json()["is_done"], what="the worker has written")

    def psql(*words: str) -> str:
        command = ("psql", "-U", "opa", "-d", "opa", "-tAc", "SELECT name, is_done FROM parcels", *words)
        return deployed.run("docker", "compose", "exec", "-T", "-e", "PGPASSWORD=opa", "postgres", *command)

    assert psql().strip() == "tea|t"
    with pytest.raises(AssertionError, match="password authentication failed"):
        psql("-h", "postgres")


def test_the_version_in_the_readme_is_that_of_the_wheel(shop: Shop) -> None:
    assert f"opa-stack:{opa.__version__}" in (shop.folder / "README.md").read_text()
