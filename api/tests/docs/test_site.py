"""The site of the documentation: `make docs`."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.docs.blocks import blocks

ROOT = Path(__file__).parents[3]
SITE = ROOT / "docs" / "site"
PAGES = sorted(ROOT.glob("docs/**/*.md"))


def build(docs: Path, output: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(docs / "site" / "build.py"), str(output)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("site")
    done = build(ROOT / "docs", output)
    assert done.returncode == 0, done.stdout + done.stderr
    return output


def test_each_page_is_in_the_navigation_once() -> None:
    nav = tomllib.loads((SITE / "zensical.toml").read_text())["project"]["nav"]
    named = [page for section in nav for pages in section.values() for page in pages]

    assert sorted(named) == sorted(page.relative_to(ROOT / "docs").as_posix() for page in PAGES), (
        "docs/site/zensical.toml has other pages than docs/"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_all_its_headings_and_code(page: Path, site: Path) -> None:
    html = (site / page.relative_to(ROOT / "docs").with_suffix(".html")).read_text()
    prose = re.sub(r"^ *(`{3,}).*?^ *\1$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)

    assert len(re.findall(r"<h2[ >]", html)) == len(re.findall(r"^## ", prose, re.MULTILINE))
    titles = re.findall(r'<span class="filename">([^<]*)</span>', html)
    assert titles == [block.path for block in blocks(page) if block.path]
    assert "```" not in re.sub(r"<code>.*?</code>", "", html, flags=re.DOTALL)


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(r'<(?:script|img|iframe)[^>]* src="?([^" >]+)', page.read_text())
        loaded += re.findall(r'<link [^>]*rel="?(?:stylesheet|icon|preload)[^>]* href="?([^" >]+)', page.read_text())
        loaded += [url for css in site.rglob("*.css") for url in re.findall(r"url\((http[^)]*)\)", css.read_text())]
        assert [url for url in loaded if "//" in url] == [], page.name


def test_the_search_knows_what_stands_in_the_pages(site: Path) -> None:
    found = json.dumps(json.loads((site / "search.json").read_text()))
    for text in ("PLUGIN_BLACKLIST_LIST", "dead letters", "Grafana"):
        assert text in found


def test_a_link_to_a_heading_that_is_not_there_fails_the_build(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    shutil.copytree(ROOT / "docs", docs)
    (docs / "index.md").write_text((docs / "index.md").read_text() + "\n[gone](tasks.md#no-such-heading)\n")
    output = tmp_path / "site"
    output.mkdir()
    (output / "old.html").touch()

    done = build(docs, output)
    assert done.returncode != 0
    assert "anchor does not exist" in re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    assert [file.name for file in output.iterdir()] == ["old.html"], "a site that could not be built took the old away"


def test_the_command_line_says_what_it_takes() -> None:
    done = subprocess.run([sys.executable, SITE / "build.py"], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (2, "usage: build.py OUTPUT\n")
