"""An index of tiny wheels, made for a test: a folder that uv and pip take for the only one that there is."""

from __future__ import annotations

import base64
import hashlib
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

OF_INDEXES = ("UV_", "PIP_")


class Wheels:
    """A folder with wheels."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def add(
        self,
        name: str,
        version: str,
        requires: Sequence[str] = (),
        code: str = "",
        size: int = 0,
        *,
        typed: bool = False,
    ) -> Path:
        """Add a package with a module of its name, whose `version` is its version, and a file of `size` bytes.

        With `typed`, mypy reads its annotations.
        """
        module = name.replace("-", "_")
        info = f"{module}-{version}.dist-info"
        metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"]
        metadata += [f"Requires-Dist: {each}\n" for each in requires]
        files = {
            f"{module}/__init__.py": f"version = {version!r}\n{code}".encode(),
            f"{info}/METADATA": "".join(metadata).encode(),
            f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        if typed:
            files[f"{module}/py.typed"] = b""
        if size:
            files[f"{module}/data.bin"] = os.urandom(size)
        record = "".join(f"{path},sha256={_digest(content)},{len(content)}\n" for path, content in files.items())
        files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
        wheel = self.folder / f"{module}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for path, content in files.items():
                archive.writestr(path, content)
        return wheel

    def environ(self, cache: Path) -> dict[str, str]:
        """The environment variables with which uv and pip know nothing else."""
        return {
            "UV_FIND_LINKS": str(self.folder),
            "UV_NO_INDEX": "1",
            "UV_CACHE_DIR": str(cache),
            "PIP_CACHE_DIR": str(cache / "pip"),
            "PIP_CONFIG_FILE": os.devnull,
        }


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
