"""The encoder in C behind `json.JSONEncoder`, which has no documented name. Where it is missing, the class is used."""

from __future__ import annotations

import json.encoder
from collections.abc import Callable
from typing import Any

_make: Any = getattr(json.encoder, "c_make_encoder", None)
_strings: Any = getattr(json.encoder, "encode_basestring", None)


def made_once(encoder: json.JSONEncoder) -> Callable[[object], str]:
    """What `encoder.encode` does, without making the encoder in C anew for each value.

    Args:
        encoder: writes all characters, no indentation.

    Returns:
        Raises RecursionError of a circle, as `JSONEncoder` does with `check_circular=False`.
    """
    if _make is None or _strings is None:
        return encoder.encode
    separators = encoder.key_separator, encoder.item_separator
    try:
        write = _make(None, encoder.default, _strings, None, *separators, encoder.sort_keys, False, encoder.allow_nan)
    except TypeError:  # another version has other arguments
        return encoder.encode
    return lambda value: "".join(write(value, 0))
