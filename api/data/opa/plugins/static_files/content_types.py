"""The `Content-Type` of a file, by its name: the same on each system, whatever that has in its own lists."""

from __future__ import annotations

from mimetypes import MimeTypes
from pathlib import PurePosixPath

_TYPES = {
    ".avif": "image/avif",
    ".css": "text/css",
    ".csv": "text/csv",
    ".gif": "image/gif",
    ".htm": "text/html",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".otf": "font/otf",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".txt": "text/plain",
    ".wasm": "application/wasm",
    ".webm": "video/webm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xml": "application/xml",
}
_COMPRESSED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}
UNKNOWN = "application/octet-stream"


def content_type(name: str) -> str:
    """That of a file of this name; without a charset, which Starlette adds to texts."""
    found = _TYPES.get(PurePosixPath(name).suffix.lower())
    if found is not None:
        return found
    # One of its own, which has read no file of the system.
    guessed, encoding = MimeTypes().guess_type(f"/{name}")
    return _COMPRESSED.get(encoding, UNKNOWN) if encoding is not None else guessed or UNKNOWN
