"""Compressed messages, unpacked no further than a task may be large: some kilobytes can hold gigabytes."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Any

CAN_UNPACK = "a worker can unpack gzip, bzip2 and lzma"

LZMA_MEMORY = 64 * 1024 * 1024
"""Bytes of memory that unpacking may take besides; a message says itself how large a window it needs."""


class UnpackingError(ValueError):
    """A body cannot be unpacked, or is larger than it may be."""


def unpack(body: bytes, compression: object, limit: int) -> bytes:
    """Unpack the body of a message.

    Args:
        body: as it came.
        compression: the header `compression`: the name that kombu writes there.
        limit: bytes that it may have then.

    Raises:
        UnpackingError: it is larger, broken, or packed in a way that is not known.
    """
    made = _MAKERS.get(compression) if isinstance(compression, str) else None
    if made is None:
        raise UnpackingError(f"it is compressed in another way: {CAN_UNPACK}")
    decompressor = made()
    try:
        unpacked: bytes = decompressor.decompress(body, limit + 1)
    except Exception as error:
        raise UnpackingError(f"it cannot be unpacked ({type(error).__name__})") from error
    if len(unpacked) > limit:
        raise UnpackingError(f"it is larger than TASK_MAX_BYTES, {limit}, when it is unpacked")
    if not decompressor.eof:
        raise UnpackingError("it cannot be unpacked: its end is missing")
    return unpacked


def can_unpack(compression: str) -> bool:
    """Whether a worker can unpack what is compressed in this way."""
    return compression in _MAKERS


def _lzma() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(memlimit=LZMA_MEMORY)


_MAKERS: dict[str, Callable[[], Any]] = {
    **dict.fromkeys(("gzip", "zlib", "application/x-gzip"), zlib.decompressobj),
    **dict.fromkeys(("bzip2", "bzip", "application/x-bz2"), bz2.BZ2Decompressor),
    **dict.fromkeys(("lzma", "xz", "application/x-lzma"), _lzma),
}
"""Of those that kombu knows by default. It unpacks them whole, whatever that takes, when it reads a message."""
