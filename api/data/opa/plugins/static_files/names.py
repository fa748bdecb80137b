"""Which names of files and folders are served. The list is one of what is refused, and refuses rather too much."""

from __future__ import annotations

import re

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f\\/:*?"<>|%]')
"""What a system of some kind takes for more than a part of a name, or decodes once more."""
_DEVICES = re.compile(r"(con|prn|aux|nul|clock\$|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])", re.IGNORECASE)
"""Windows takes these for devices, in each folder and with any ending."""
_HIDDEN = re.compile(
    r"\..*|~.*|.*~|\#.*\#|__pycache__|node_modules"  # hidden files, those of editors, and folders of tools
    r"|.*\.(py[a-z]?|ipynb|env|bak|orig|rej|old|save|sw[a-z]|tmp)",
    re.IGNORECASE | re.DOTALL,
)


def is_served(name: str) -> bool:
    """Whether a file or a folder of this name is served: none that is hidden, of Python, an editor's, or a device."""
    if not name or name[-1] in ". " or name[0] == " " or _FORBIDDEN.search(name) or _HIDDEN.fullmatch(name):
        return False
    return _DEVICES.fullmatch(name.partition(".")[0].rstrip(" ")) is None
