"""Links to other hosts: what can be seen of them without a network, and `make links`, on a host of this machine."""

from __future__ import annotations

import re
from pathlib import Path

import httpx2
import pytest

from tests.docs import hosts
from tests.docs.hosts import LINKED, NAMED, ROOT, SOURCES, Finding, Link, State, ask_all, links, links_in, report
from tests.docs.test_links import exists
from tests.loopback import Handler, LoopbackServer

PAGE = re.compile(r"\bdocs/[\w-]+(?:/[\w-]+)*\.(?:md|json)(?:#[\w-]+)?")


def test_each_link_is_https_and_to_a_host_of_the_list() -> None:
    others = [link for link in links() if link.host not in LINKED | NAMED]
    assert others == [], "add the host to LINKED, if it is right, and run make links"
    plain = [link for link in links() if link.host in LINKED and not link.url.startswith("https://")]
    assert plain == []


def test_each_link_is_an_address_without_user_port_or_query() -> None:
    for link in links():
        if link.host in LINKED:
            assert httpx2.URL(link.url).copy_with(fragment=None) == link.url.partition("#")[0], link
            assert re.fullmatch(r"https://[a-z0-9.-]+(/[\w./-]*)?(#[\w.-]+)?", link.url), link


def test_each_host_of_the_list_is_linked() -> None:
    assert {*LINKED} - {link.host for link in links()} == set()
    assert {*NAMED} - {link.host for link in links()} == set()


@pytest.mark.parametrize(
    "url",
    ["http://localhost:8000/docs", "https://api.example.com", "http://minio:9000", "http://{host}:1", "http://[::1]/"],
)
def test_an_example_leads_to_no_host(url: str) -> None:
    assert Link(url, "page.md:1").is_example


def test_addresses_end_where_the_sentence_goes_on(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("[a](https://a.io/b#c), <https://d.io>; `https://e.io/f`.\nSee https://g.io/h.\n")
    assert list(links_in(page, tmp_path)) == [
        *(Link(url, "page.md:1") for url in ("https://a.io/b#c", "https://d.io", "https://e.io/f")),
        Link("https://g.io/h", "page.md:2"),
    ]


def test_each_page_that_code_and_configuration_name_is_there() -> None:
    """Docstrings, comments and messages lead to pages by their path."""
    named = [
        (file.relative_to(ROOT), page)
        for file in SOURCES
        if file.suffix != ".md"
        for page in PAGE.findall(file.read_text())
    ]
    assert len(named) > 10
    assert [each for each in named if not exists(ROOT / "README.md", each[1])] == []


def test_each_page_that_a_new_project_names_is_there() -> None:
    """Its README is not beside the documentation, and names pages by their titles."""
    titles = {page.read_text().splitlines()[0].removeprefix("# ") for page in ROOT.glob("docs/**/*.md")}
    readme = next(file for file in SOURCES if file.name == "README.md.tmpl").read_text()
    named = re.findall(r"\bpages? \*([^*]+)\*", readme)
    assert named
    assert {*named} - titles == set()


class Site(LoopbackServer):
    """A host with pages of each kind."""

    def __init__(self) -> None:
        class Answers(Handler):
            def do_GET(self) -> None:
                match self.path:
                    case "/page":
                        self.answer(200, b'<h2 id="part">Part</h2>')
                    case "/old":
                        self.answer(301, Location="/page")
                    case "/docs":
                        self.answer(301, Location="/docs/en/stable/")
                    case "/docs/en/stable/":
                        self.answer(200)
                    case "/shy":
                        self.answer(403)
                    case "/closed":
                        self.close_connection = True
                    case _:
                        self.answer(404)

        super().__init__(Answers)


def test_what_is_broken_is_told_apart_from_what_has_moved() -> None:
    with Site() as site:
        paths = ("/page", "/page#part", "/page#par", "/old", "/docs", "/shy", "/gone", "/closed")
        found = {
            finding.url.removeprefix(site.address): finding
            for finding in ask_all(site.address + path for path in paths)
        }
    assert {path: finding.state for path, finding in found.items()} == {
        "/page": State.OK,
        "/page#part": State.OK,
        "/page#par": State.NO_ANCHOR,
        "/old": State.MOVED,
        "/docs": State.OK,
        "/shy": State.UNKNOWN,
        "/gone": State.BROKEN,
        "/closed": State.UNREACHABLE,
    }
    assert found["/old"] == Finding(f"{site.address}/old", State.MOVED, f"to {site.address}/page")


def test_the_report_names_each_place_and_ends_with_1_where_something_is_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "LINKED", frozenset({"127.0.0.1"}))
    with Site() as site:
        good, gone = Link(f"{site.address}/page", "a.md:1"), f"{site.address}/gone"
        assert report([good]) == 0
        assert report([good, Link(gone, "b.md:2"), Link(gone, "a.md:3"), Link("https://g.io", "a.md:4")]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "1 addresses: 1 ok",
        f"broken: {gone} 404 (a.md:3, b.md:2)",
        "2 addresses: 1 ok, 1 broken",
    ]
