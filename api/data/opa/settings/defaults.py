"""What default-settings.yaml says, as JSON, which Python reads without a parser of YAML.

After a change of the one file, `python -m opa.settings.defaults` writes the other.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent.parent / "default-settings.yaml"
AS_JSON = Path(__file__).with_suffix(".json")


def read_defaults() -> dict[str, Any]:
    """The settings by section."""
    sections: dict[str, Any] = json.loads(AS_JSON.read_text())
    return sections


def main() -> None:
    """Write the JSON."""
    from opa.settings.files import read_sections

    AS_JSON.write_text(json.dumps(read_sections(FILE), indent=1) + "\n")


if __name__ == "__main__":
    main()
