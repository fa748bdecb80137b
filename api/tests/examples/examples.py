"""The examples of the repository."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted(readme.parent for readme in ROOT.glob("examples/*/README.md"))
