"""Links between the documents of the repository lead to files and headings that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCUMENTS = sorted(
    document
    for pattern in ("*.md", "docs/**/*.md", "api/*.md", "examples/**/*.md", "plugins/*.md", "settings/*.md")
    for document in ROOT.glob(pattern)
)
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_each_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    broken = [link for link in links(document) if not exists(document, link)]
    assert broken == [], f"{document.relative_to(ROOT)} has links that lead nowhere"


def links(document: Path) -> Iterator[str]:
    """The targets of the links to other documents, and to headings."""
    prose = FENCED.sub("", document.read_text())
    yield from (link for link in re.findall(r"\]\(([^)\s]+)\)", prose) if "://" not in link)


def exists(document: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = document.parent / name if name else document
    return target.exists() and (not anchor or anchor in anchors(target))


def anchors(document: Path) -> set[str]:
    """Those that GitHub makes of the headings: lower case, dashes for spaces, and no punctuation."""
    prose = FENCED.sub("", document.read_text())
    headings = (re.sub(r"\[([^]]*)]\([^)]*\)", r"\1", text) for text in re.findall(r"^#+ (.+)$", prose, re.MULTILINE))
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def test_links_to_nothing_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A page, `with` a [link](other.md)\n[a](#a-page-with-a-link) [b](page.md#else) [c](other.md)\n"
        "```md\n[d](gone.md)\n```\n[e](https://example.com)\n"
    )
    assert [link for link in links(page) if not exists(page, link)] == ["other.md", "page.md#else", "other.md"]
