"""A message is unpacked as far as it may be large, and no further."""

from __future__ import annotations

import bz2
import lzma
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from kombu.compression import get_decoder

from opa.tasks.unpacking import UnpackingError, unpack

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "application/x-gzip": zlib.compress,
    "application/x-bz2": bz2.compress,
    "application/x-lzma": lzma.compress,
}
LIMIT = 100_000


@pytest.mark.parametrize("compression", PACKERS)
def test_a_message_within_the_limit_is_unpacked(compression: str) -> None:
    assert unpack(PACKERS[compression](b"x" * LIMIT), compression, LIMIT) == b"x" * LIMIT
    assert get_decoder(compression)(PACKERS[compression](b"x")) == b"x"  # by the same name as kombu's


@pytest.mark.parametrize("compression", PACKERS)
def test_a_message_that_is_too_large_is_refused_before_it_is_unpacked_whole(compression: str) -> None:
    packed = PACKERS[compression](b"x" * 20_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(UnpackingError, match="larger than TASK_MAX_BYTES, 100000"):
            unpack(packed, compression, LIMIT)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12_000_000  # lzma has a window of 8 MB


@pytest.mark.parametrize("compression", PACKERS)
@pytest.mark.parametrize("broken", ["end", "nothing", "noise"])
def test_a_broken_message_is_refused(compression: str, broken: str) -> None:
    packed = PACKERS[compression](b"some text that is long enough")
    body = {"end": packed[:-6], "nothing": b"", "noise": b"\xff" * 100}[broken]
    with pytest.raises(UnpackingError, match="cannot be unpacked"):
        unpack(body, compression, LIMIT)


@pytest.mark.parametrize("compression", ["application/x-brotli", "", "x", None, 5, [], {"a": 1}], ids=repr)
def test_a_message_of_another_compression_is_refused(compression: object) -> None:
    with pytest.raises(UnpackingError, match="a worker can unpack gzip, bzip2 and lzma"):
        unpack(b"x", compression, LIMIT)


def test_a_window_of_gigabytes_is_refused() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30}]
    packed = lzma.compress(b"x" * 100, filters=filters)
    with pytest.raises(UnpackingError, match="cannot be unpacked"):
        unpack(packed, "application/x-lzma", LIMIT)
