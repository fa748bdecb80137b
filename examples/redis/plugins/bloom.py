"""A bloom filter in redis: remembers any number of words in 64 KB, and is sometimes wrong about one it never saw."""

from typing import Annotated

from fastapi import Depends
from walrus import BloomFilter, Database

from opa import Component, get_router

router = get_router(tags=["bloom filter"])


async def bloom_filter(walrus: Annotated[Database, Component("walrus")]) -> BloomFilter:
    return walrus.bloom_filter("bloom")


Filter = Annotated[BloomFilter, Depends(bloom_filter)]


@router.post("/bloom")
def add(words: list[str], bloom: Filter) -> str:
    """Add words to the filter."""
    for word in words:
        bloom.add(word)
    return f"Added {len(words)} words"


@router.get("/bloom")
def contains(string: str, bloom: Filter) -> bool:
    """False: it was never added. True: it very likely was."""
    return string in bloom
