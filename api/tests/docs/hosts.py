"""Links to other hosts, in the documents and in the code: `make links` asks each of them, and says which are broken.

No test may need a network, so that test_hosts.py holds what can be seen without one: each link is https, and to a host
that is written down here.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

ROOT = Path(__file__).parents[3]
SOURCES = tuple(
    sorted(
        file
        for pattern in (
            *("*.md", "docs/**/*.md", "examples/**/*.md", "plugins/*.md", "settings/*.md", ".env.example"),
            *("docker-compose*.yml", "Makefile", "api/*.md", "api/Dockerfile", "api/pyproject.toml"),
            *(f"api/data/opa/**/*.{kind}" for kind in ("py", "yaml", "html", "js", "css", "tmpl")),
        )
        for file in ROOT.glob(pattern)
        if "_documentation" not in file.parts and not file.name.startswith("requirements")
    )
)

LINKED = frozenset(
    {
        "alembic.sqlalchemy.org",
        "api.slack.com",
        "boto3.amazonaws.com",
        "copier.readthedocs.io",
        "datatracker.ietf.org",
        "developer.mozilla.org",
        "docs.astral.sh",
        "docs.celeryq.dev",
        "docs.djangoproject.com",
        "docs.github.com",
        "docs.litestar.dev",
        "docs.pydantic.dev",
        "docs.pytest.org",
        "docs.python.org",
        "docs.rs",
        "docs.sqlalchemy.org",
        "docs.stripe.com",
        "fastapi.tiangolo.com",
        "flower.readthedocs.io",
        "github.com",
        "import-linter.readthedocs.io",
        "jowilf.github.io",
        "keepachangelog.com",
        "learn.microsoft.com",
        "loguru.readthedocs.io",
        "modelcontextprotocol.io",
        "motor.readthedocs.io",
        "openapi-ts.dev",
        "opentelemetry.io",
        "packaging.python.org",
        "pre-commit.com",
        "prometheus.github.io",
        "prometheus.io",
        "pymongo.readthedocs.io",
        "redis.readthedocs.io",
        "schemathesis.readthedocs.io",
        "semver.org",
        "systemd.io",
        "typer.tiangolo.com",
        "walrus.readthedocs.io",
        "www.dynaconf.com",
        "www.python-httpx.org",
        "www.python.org",
        "www.standardwebhooks.com",
        "www.starlette.io",
        "zensical.org",
    }
)
"""Where a reader is led. To link to another one, add it here, and run `make links`."""

NAMED = frozenset(
    {
        "accounts.google.com",
        "adaptivecards.io",
        "hooks.slack.com",
        "login.microsoftonline.com",
        "token.actions.githubusercontent.com",
    }
)
"""In addresses that are names, or values of settings: of issuers, schemas and webhooks. Nobody opens them."""

URL = re.compile(r"https?://[^\s<>\"'`)\]|\\,;]*[^\s<>\"'`)\]|\\,;.:!?*…]")
RESERVED = re.compile(r"(.*\.)?(example(\.(com|org|net))?|test|invalid|localhost)")
"""Names that lead nowhere by RFC 2606."""

LARGEST = 4_000_000
"""Bytes of a page in which a heading is looked for."""
REFUSALS = frozenset({401, 403, 405, 418, 429, 999})
"""What sites say to programs while they show the page to people."""


@dataclass(frozen=True)
class Link:
    """An address, and where it stands: file and line."""

    url: str
    where: str

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def is_example(self) -> bool:
        """Whether it leads to no host of the internet: it is reserved, of a local network, or still to be filled in."""
        if re.search(r"[{}%$]", self.url.partition("://")[2].partition("/")[0]) or "." not in self.host:
            return True
        try:
            return bool(ip_address(self.host))
        except ValueError:
            return RESERVED.fullmatch(self.host) is not None


def links_in(file: Path, root: Path = ROOT) -> Iterator[Link]:
    """All addresses in a file, also those in examples and comments."""
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        for url in URL.findall(line):
            yield Link(url, f"{file.relative_to(root)}:{number}")


def links() -> list[Link]:
    """All addresses that lead to a host of the internet, or that only look so."""
    return [link for file in SOURCES for link in links_in(file) if not link.is_example]


class State(Enum):
    """What a link is."""

    OK = "ok"
    MOVED = "moved"
    NO_ANCHOR = "no such anchor in the page, unless a script adds it"
    UNKNOWN = "does not tell programs"
    BROKEN = "broken"
    UNREACHABLE = "not reached"


FAULTS = frozenset({State.BROKEN, State.UNREACHABLE})


@dataclass(frozen=True)
class Finding:
    """What became of the request for an address."""

    url: str
    state: State
    detail: str = ""


def ask(client: httpx2.Client, url: str) -> Finding:
    """Ask for a page, as a browser would that follows its redirects."""
    anchor = urlsplit(url).fragment
    try:
        with client.stream("GET", url, follow_redirects=True) as answer:
            if answer.status_code in REFUSALS or answer.status_code >= 500:
                return Finding(url, State.UNKNOWN, str(answer.status_code))
            if answer.status_code >= 400:
                return Finding(url, State.BROKEN, str(answer.status_code))
            if anchor and not _has_anchor(answer, anchor):
                return Finding(url, State.NO_ANCHOR)
            moved = [step for step in answer.history if step.status_code in (301, 308)]
            target = str(answer.url)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return Finding(url, State.UNREACHABLE, str(error) or type(error).__name__)
    # From / to a start page, or to the language or version of the reader, is where such addresses lead for good.
    is_elsewhere = moved and not target.startswith(url.partition("#")[0].removesuffix("/"))
    return Finding(url, State.MOVED, f"to {target}") if is_elsewhere else Finding(url, State.OK)


def _has_anchor(answer: httpx2.Response, anchor: str) -> bool:
    page = b""
    for part in answer.iter_bytes():
        page += part
        if len(page) > LARGEST:
            break
    name = re.escape(anchor.encode())
    return re.search(rb"\b(?:id|name)=[\"']?(?:user-content-)?" + name + rb"[\"'\s>]", page) is not None


def ask_all(urls: Iterable[str]) -> list[Finding]:
    """Ask for each page once, eight at a time; in the order of the addresses."""
    headers = {"User-Agent": "Mozilla/5.0 (compatible; opa-stack make links)"}
    with httpx2.Client(timeout=20, headers=headers) as client, ThreadPoolExecutor(8) as threads:
        return list(threads.map(lambda url: ask(client, url), sorted({*urls})))


def report(found: list[Link]) -> int:
    """Print what is wrong with these, and how many there are; 1 where one is broken or cannot be reached."""
    asked = [link for link in found if link.host in LINKED]
    findings = ask_all(link.url for link in asked)
    for finding in findings:
        if finding.state is not State.OK:
            places = ", ".join(sorted({link.where for link in asked if link.url == finding.url}))
            print(f"{finding.state.value}: {finding.url} {finding.detail}".rstrip() + f" ({places})")
    counts = [(state, sum(finding.state is state for finding in findings)) for state in State]
    print(f"{len(findings)} addresses: " + ", ".join(f"{count} {state.value}" for state, count in counts if count))
    return int(any(finding.state in FAULTS for finding in findings))


if __name__ == "__main__":
    sys.exit(report(links()))
