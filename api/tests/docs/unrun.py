"""The blocks of the documents that no reader does, and why; what can be held of them all the same.

`tests.docs.page` says what a reader does: files are written, and `console` and `python` blocks are run. Of the others,
settings and variables are loaded. Each that is left stands here, with the test that does the same, or the reason why
there is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.docs.blocks import Block, blocks
from tests.docs.console import commands

ROOT = Path(__file__).parents[3]
TEMPLATE = ROOT / "api" / "data" / "opa" / "scaffold" / "template" / "README.md.tmpl"
READ = (*sorted(ROOT.glob("docs/**/*.md")), ROOT / "README.md", ROOT / "api" / "README.md")
"""The pages that test_pages.py reads; the READMEs of examples and of a new project are read by tests of theirs."""
OTHERS = (TEMPLATE, ROOT / "CONTRIBUTING.md", ROOT / "settings" / "README.md", *sorted(ROOT.glob("examples/**/*.md")))

SECTIONS = frozenset({"default", "dev", "production"})
VARIABLE = re.compile(r"(OPA_[A-Z0-9_]+)=(.*?)(?: +#.*)?")

INSTALL = "installs from an index; tests/test_distribution.py and tests/scaffold/test_readme.py install the wheel"
PROJECT = "tests/scaffold/test_readme.py does it, as the README of a new project says it"
PRODUCTION = "tests/docker/test_compose_prod.py does it, with containers"
COMPOSED = "test_unrun.py has Compose read it, on top of the files of the clone"
DOCKER = "tests/docker does it, with containers"
DEPS = "tests/packages does it, with an index of its own"
OUTPUT = "is printed, with times and ids of that day; tests of the code that prints it hold the form"
FILES = "is no command, and no file of one project"
FORMAT = "a format for another program, which is not there"
ROOT_ONLY = "changes the machine, as root"
GUIDE = "tests/docs/test_how_to.py does it"
SQL_IMAGE = "builds a second image; tests/plugins/driver_sql has a PostgreSQL"
TUTORIAL = "tests/docs/test_tutorial.py makes the project of the tutorial, and runs its tests"
TYPED = "asks for a password, which tests/cli/test_passwd.py types"
STAND_INS = "the page says that it was checked by reading: the servers of the tests are stand-ins"
UPDATED = "tests/scaffold/test_update.py does it, with the template of another version"
TRACED = "tests/plugins/tracing sets the variables, and receives the spans"
TYPED_CLIENT = "tests/cli/test_openapi.py does it, with the generator that is installed"
MEASURED = "takes minutes, and has targets of its own"

AGENTS = "needs the package of an agent, which no test has; the page says with which version it was tried"

NOT_RUN: dict[str, dict[str, str]] = {
    "docs/access.md": {
        '- issuer: "https://token.actions.githubuserc': "goes on with a list, and is no file by itself",
    },
    "docs/admin.md": {
        "opa passwd ada --scope 'admin:read' --scope": TYPED,
        "pip install 'opa-stack[admin,sql]'": INSTALL,
    },
    "docs/architecture.md": {
        "cli/              the command opa, one modul": "tests/test_architecture.py holds it",
    },
    "docs/commands.md": {
        "plugins/shop/": FILES,
        '{"commands": {"restock": "Put items on the s': "tests/cli/test_plugin_group.py has such metadata",
    },
    "docs/console.md": {
        "docker compose exec api opa passwd ada --sco": TYPED,
    },
    "docs/containers.md": {
        "FROM opa-stack": PROJECT,
    },
    "docs/debugging.md": {
        "error: plugin 'hello' does not import: Synta": OUTPUT,
        "the process has ended with signal SIGKILL; i": OUTPUT,
        "14:03:35 api    2 plugins loaded (hello, sho": OUTPUT,
        "$ opa up --debug": "tests/serve/test_debugger.py attaches to it",
        "{": "for Visual Studio Code; tests/docker/test_compose_dev.py attaches as that does",
        'File "/plugins/shop.py", line 9, in price': OUTPUT,
    },
    "docs/deployment.md": {
        "$ printf '%s\\n' COMPOSE_FILE=docker-compose.": PROJECT,
        "$ IMAGE=registry.example.com/shop:42 docker": "there is no registry",
        "$ docker pull registry.example.com/shop:42": "there is no registry",
        "$ git clone … opa-stack && cd opa-stack": PRODUCTION,
        "$ curl localhost:8000/healthz": PRODUCTION,
        "$ printf %s 'my own password' | sudo install": ROOT_ONLY,
        "$ docker compose exec flower cat /run/secret": PRODUCTION,
        "$ sudo rm secrets/redis_password": ROOT_ONLY,
        "$ docker compose up -d --wait redis mongo ra": STAND_INS,
        "$ docker compose exec -T mongo mongosh --qui": STAND_INS,
        "api.example.com {": FORMAT,
        "server {": FORMAT,
        "$ docker network inspect -f '{{(index .IPAM.": PRODUCTION,
        "services:": COMPOSED,
        "secrets:": COMPOSED,
        "containers:": FORMAT,
        "$ docker compose run --rm api check --deploy": PRODUCTION,
        "$ opa check --deploy --json --fail-level war": "jq is not there; tests/checks/deploy has the JSON",
    },
    "docs/getting-started.md": {
        "python3 -m venv .venv": INSTALL,
        "opa new shop": PROJECT,
        "beside opa up (process 4711), ENV=dev: its r": OUTPUT,
        "docker load < opa-stack-0.1.0-image.tar.gz": DOCKER,
        "docker build --build-context docs=docs -t op": DOCKER,
        "docker compose up -d --wait --build": PROJECT,
        "docker compose -f docker-compose.yml -f dock": PROJECT,
    },
    "docs/how-to/systemd.md": {
        "$ sudo useradd --system --home-dir /srv/shop": ROOT_ONLY,
        "$ sudo install -d -m 755 /etc/shop && openss": ROOT_ONLY,
    },
    "docs/how-to/uploads.md": {
        "$ curl -F file=@cat.png localhost:8000/pictu": GUIDE,
    },
    "docs/lifecycle.md": {
        '[project.entry-points."opa.plugins"]': "tests/loading/test_installed.py installs such a package",
    },
    "docs/logging.md": {
        '{"timestamp": "2026-11-20T05:12:07.802682Z",': OUTPUT,
        '{"timestamp": "2026-11-29T03:14:07.182043Z",': OUTPUT,
        '{"timestamp": "2026-11-20T11:10:47.553631Z",': OUTPUT,
        "Internal Server Error": OUTPUT,
        '{"timestamp": "2026-11-29T03:20:51.013377Z",': OUTPUT,
    },
    "docs/mcp.md": {
        "{": FORMAT,
    },
    "docs/metrics.md": {
        "scrape_configs:": "tests/plugins/core_metrics asks as Prometheus does, which is not there",
        'docker compose exec api python -c "import ur': DOCKER,
        "WARNING plugin 'reports' held the event loop": OUTPUT,
    },
    "docs/migrations.md": {
        '{"status": "starting", "waiting_for": "migra': "tests/plugins/migrations/test_on_start.py gets the same",
    },
    "docs/monitoring-agents.md": {
        "DD_SERVICE=shop DD_AGENT_HOST=datadog-agent": AGENTS,
        "NEW_RELIC_LICENSE_KEY=… NEW_RELIC_APP_NAME=s": AGENTS,
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=fastap": AGENTS,
    },
    "docs/new-project.md": {
        "make install": PROJECT,
        "$ opa new shop": "tests/cli/test_new.py and tests/scaffold/test_own_wheel.py have these lines",
        "opa new --update": UPDATED,
    },
    "docs/notifications.md": {
        "Shop: reports.nightly failed 1,000 times": OUTPUT,
        '{"project": "Shop", "title": "Shop: reports.': OUTPUT,
    },
    "docs/packages.md": {
        "pip install 'opa-stack[deps]'   # uv; one th": DEPS,
        "error: plugin 'letters' needs 'opa-stack[pos": DEPS,
        "error: plugin 'invoices' needs jmespath>=1 (": DEPS,
        "opa deps install                     # into": DEPS,
        "INFO  packages of plugin 'ages': installing": DEPS,
        "error: plugin 'ages' requires the Python pac": DEPS,
        "FROM opa-stack": PROJECT,
    },
    "docs/performance.md": {
        "make bench                        # everythi": MEASURED,
    },
    "docs/reliability.md": {
        "$ FUZZ_MESSAGES=10000 FUZZ_SEED=2 FUZZ_WRITE": MEASURED,
        "ACL SETUSER shop on >a-password ~* &* +@read": "tests/tasks/brokers/test_redis.py does it",
    },
    "docs/runs.md": {
        "$ opa tasks runs --failed": OUTPUT,
    },
    "docs/sql.md": {
        "pip install 'opa-stack[sql]'": INSTALL,
        "COMPOSE_PROFILES=sql": SQL_IMAGE,
        "docker compose up --build -d": SQL_IMAGE,
    },
    "docs/tasks.md": {
        "$ opa schedule list": OUTPUT,
        "$ opa tasks dead": OUTPUT,
        "$ docker run -e MODE=flower -e FLOWER_BASIC_": DOCKER,
        "services:": COMPOSED,
    },
    "docs/testing.md": {
        "pip install 'opa-stack[testing]'": INSTALL,
    },
    "docs/tracing.md": {
        "docker run --rm -p 16686:16686 -p 4318:4318": TRACED,
        "OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost": TRACED,
        "OTEL_TRACES_SAMPLER=traceidratio": TRACED,
    },
    "docs/tutorial.md": {
        "python3 -m venv .venv": TUTORIAL,
        "$ opa tasks run alerts.post '[\"hello\"]'": OUTPUT,
        "$ opa keys create deploy-bot --scope sites:w": OUTPUT,
        "$ opa deps": TUTORIAL,
        "$ printf '%s\\n' COMPOSE_PROFILES=sql COMPOSE": PROJECT,
    },
    "docs/typed-client.md": {
        "uvx openapi-python-client generate --path op": TYPED_CLIENT,
        "npx openapi-typescript openapi.json --output": FORMAT,
    },
    "docs/webhooks-out.md": {
        "POST /events HTTP/1.1": OUTPUT,
    },
    "README.md": {
        "python3 -m venv .venv": INSTALL,
    },
    "api/README.md": {
        "pip install './opa_stack-0.1.0-py3-none-any.": INSTALL,
    },
    "api/data/opa/scaffold/template/README.md.tmpl": {
        "api.example.com {": FORMAT,
        "opa new --update": UPDATED,
    },
    "CONTRIBUTING.md": {
        "git clone … && cd opa-stack": "is what runs this test",
        "pre-commit install": "the hooks are those of make lint",
        "make test TESTS=api/tests/core/test_hooks.py": "is what runs this test",
    },
}
"""Why a block is not run, by its page and what its first line begins with."""


def is_done(block: Block) -> bool:
    """Whether a reader of the page does it."""
    return bool(block.path) or block.language in ("console", "python")


def first_words(block: Block) -> str:
    """How `NOT_RUN` calls a block."""
    first = next(line for line in block.text.splitlines() if line.strip())
    return first.strip()[:44].strip()


def variables_of(block: Block) -> list[tuple[str, str]]:
    """The variables of a block that has nothing else; empty for any other."""
    lines = [line for line in block.text.splitlines() if line]
    found = [VARIABLE.fullmatch(line) for line in lines]
    return [(match[1], match[2].strip("'")) for match in found if match] if all(found) else []


def is_settings(block: Block) -> bool:
    """Whether it is a settings file in YAML."""
    keys = re.findall(r"^([a-z]\w*):", block.text, re.MULTILINE)
    lines = block.text.splitlines()
    return bool(keys) and {*keys} <= SECTIONS and not [line for line in lines if line and line[0] not in " #d p"]


def left_over(page: Path) -> Iterator[Block]:
    """The blocks of a page that nobody does, and that are neither settings nor variables."""
    for block in blocks(page):
        if not is_done(block) and not is_settings(block) and not variables_of(block):
            yield block


def lines_to_type(page: Path) -> Iterator[tuple[str, str]]:
    """Each command line of a page, also of blocks that are not run and in the text, and where it stands."""
    for block in blocks(page):
        if block.language == "console" or block.text.startswith("$ "):
            yield from ((command.text, block.where) for command in commands(block))
        elif block.language in ("sh", "bash"):
            yield from ((line, block.where) for line in block.text.splitlines())
    prose = re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    yield from ((text, page.name) for text in re.findall(r"(?<!`)`(opa [^`]+|make [^`]+)`(?!`)", prose))
