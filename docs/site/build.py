"""Build the site of the documentation from the pages in `docs/`: `python docs/site/build.py OUTPUT`. See `make docs`.

Zensical reads pages as MkDocs does. Two things in ours are different, and are changed in a copy:

- A code block says behind its language which file it is (```` ```python plugins/hello.py ````): there it is the title.
- A link to a file outside of `docs/`, which is not in the site, becomes its text.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1]
CONFIG = "zensical.toml"
_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,})(?P<language>\w+) (?P<title>[^\s`\"]+)$", re.MULTILINE)
_LINK_OUTSIDE = re.compile(r"\[(?P<text>[^]]*)\]\(\.\./[^)]*\)")


def main() -> int:
    """Build into the folder that the command line names, and give the exit status."""
    if len(sys.argv) != 2:
        print("usage: build.py OUTPUT", file=sys.stderr)
        return 2
    output = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        shutil.copytree(DOCS, project / "docs", ignore=shutil.ignore_patterns("site"))
        for page in (project / "docs").rglob("*.md"):
            page.write_text(for_site(page.read_text(encoding="utf-8")), encoding="utf-8")
        shutil.copy(DOCS / "site" / CONFIG, project)
        # A link or an anchor that leads nowhere is an error.
        command = [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", CONFIG]
        done = subprocess.run(command, cwd=project, check=False)  # noqa: S603 - of fixed words
        if done.returncode:
            return done.returncode
        if output.exists():
            shutil.rmtree(output)
        shutil.copytree(project / "built", output)
    return 0


def for_site(page: str) -> str:
    """The text of a page as Zensical takes it."""
    page = _FENCE.sub(r'\g<indent>\g<fence>\g<language> title="\g<title>"', page)
    return _LINK_OUTSIDE.sub(r"\g<text>", page)


if __name__ == "__main__":
    sys.exit(main())
