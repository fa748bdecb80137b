"""Documents, messages and comments use the words that an engineer would, and search for."""

from __future__ import annotations

import re
from pathlib import Path

import opa

ROOT = Path(__file__).parents[3]
PACKAGE = Path(opa.__file__).parent
KINDS = {".html", ".js", ".md", ".py", ".tmpl", ".yaml"}

BETTER = {
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\b(that|what|which|who) there (is|are) not\b": "unknown, missing, or does not exist",
    r"\band else\b": "otherwise",
    r"\bsomebody\b": "who it is: a user, another process, an attacker; or nobody in particular, in the passive voice",
}


def test_words_that_a_technical_writer_would_not_take_are_in_no_text() -> None:
    texts = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("api/*.md"), *PACKAGE.rglob("*")]
    texts += [path for path in (ROOT / "api/tests").rglob("*") if path != Path(__file__)]
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]!r}: say {better}"
        for path in texts
        if path.suffix in KINDS and "_documentation" not in path.parts
        # Names consist of words, too.
        for number, line in enumerate(path.read_text().replace("_", " ").splitlines(), 1)
        for word, better in BETTER.items()
        for match in re.finditer(word, line, re.IGNORECASE)
    ]
    assert found == []
