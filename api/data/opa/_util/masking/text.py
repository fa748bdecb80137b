"""Masks what is secret in a text that was already made: by its place in a URL, by the name before it, by its shape."""

from __future__ import annotations

import base64
import binascii
import re
import string
from collections.abc import Callable, Iterator
from urllib.parse import unquote

from opa._util.masking.hidden import mask_hidden
from opa._util.masking.names import is_secret_header, looks_secret, looks_secret_in_text
from opa._util.masking.quick import matcher, whole
from opa._util.masking.shapes import MASK, MAY_HAVE_SHAPE, mask_shapes
from opa._util.patterns import lazy_pattern
from opa.current import current

_SCHEME_CHARACTERS = string.ascii_letters + string.digits + "+.-"
_PORT_AND_PATH = lazy_pattern(r"\d{0,5}(?:[/?#]|$)")
# Where an "@" in a path is common, as in https://host:80/@name. For a broker or a database it ends a password.
_WITH_AT_IN_PATH = frozenset(
    {"http", "https", "ws", "wss", "file", "ftp", "git", "git+http", "git+https", "docker", "oci", "s3", "gs"}
)
_NEXT_IN_LIST_OR_QUERY = lazy_pattern(r"[,;?&=]")
# Of a URL that a blank ends: what is behind its first colon is a port, or the sentence goes on.
_PORT_OR_NOTHING = lazy_pattern(r"\d*+(?:[/?#:]|$)")
_END_OF_URL = lazy_pattern(r"""["'<>(){}\[\]]|[.,;!]$""")
_REST_OF_PASSWORD = lazy_pattern(r"[^@]{0,99}[^@\s](?=@[\w\[])")
_WORD = lazy_pattern(r"\S*+")
# A user that is no name, as in https://token@host: it has both letters and digits, and no dot.
_TOKEN_ALONE = lazy_pattern(r"(?=[^@]*[0-9])(?=[^@]*[A-Za-z])[\w\-~%]{20,}")
_URL_ALONE = lazy_pattern(r"\s*+[A-Za-z][A-Za-z0-9+.\-]{0,30}://")
_QUERY_ITEM = lazy_pattern(r"(?P<before>[?&;#])(?P<name>[^=&;#?\s]+)=(?P<value>[^&;#\s]*)")

# A name and the sign behind it. Each repetition is possessive or short: it takes time in proportion to the text.
_NAMED = lazy_pattern(
    r"""
    (?P<quote>\\{0,4}["'])(?P<quoted>[\w.\- ]{1,80})(?P=quote)\s*+(?P<between>:(?!:)|=>|,)\s*+
    | (?<![\w.\-])--(?P<option>[\w\-]++)(?:\s++|["'],\s{0,9}["'])(?!-)
    | (?<![\w.\-])(?P<name>(?:(?:api|access|secret|private|auth)[ ](?=key))?[\w.\-]++)
        \s*+(?P<sign>:?=(?![=~])|:(?![:/=]))\s*+
    """,
    re.VERBOSE | re.IGNORECASE,
)
# A quote that ends a value stands at the end of something. In a text that was quoted twice others have lost their sign.
_ENDS = r"""(?P=open)(?=[\s,;:&)\]}>\\'"]|$)"""
_QUOTED_VALUE = lazy_pattern(rf"""[bBrRuUfF]{{0,2}}(?P<open>["'])((?:\\.|(?!{_ENDS})[^\\])++)\\?""", re.DOTALL)
# Inside of a text that is itself quoted.
_ESCAPED_VALUE = lazy_pattern(rf"""(?P<open>\\{{1,4}}["'])((?:(?!{_ENDS}).)++)""", re.DOTALL)
# A separator belongs to the value, unless the next name, a text in quotes or a URL begins behind it.
_NEXT = r"""(?!\s|\Z|\\{0,4}["']|[\w.\-\[\]%+]{1,80}+(?:=|://))"""
_PLAIN_VALUE = lazy_pattern(rf"(?:[^&;#\s,]++|[&;#,]++{_NEXT})++")
_IN_BRACES = lazy_pattern(r"""[{](?![bBrRuU]?\\{0,4}["'])(?:[^}\r\n]|[}]{2}){1,200}+[}](?=[;,\s"']|\Z)""")
_VALUE_IN_MAPPING = lazy_pattern(r"""[^\s,;}\])([{"']++""")
_COOKIE = lazy_pattern(r"[^\s=;,:\"']{1,200}=")
_REST_OF_LINE = lazy_pattern(r"[^\r\n]++")
_REST_OF_QUOTED_LINE = lazy_pattern(r"""[^\r\n"']++""")
_BRACKETS = lazy_pattern(
    r"""(?P<text>"(?:\\.|[^"\\])*+"?|'(?:\\.|[^'\\])*+'?)|(?P<open>[\[({])|(?P<close>[\])}])""", re.DOTALL
)
# The whole of what is behind a header's name, which is not a text: letters alone are a secret there, but for a remark.
_WORD_OF_HEADER = lazy_pattern(
    r"(?!(?:absent|denied|expired|forbidden|invalid|malformed|missing|present|rejected|required|revoked|unknown)\b)"
    r"""[A-Za-z_.~+/\-]{6,200}+(?=[ ]{0,9}(?:[,;"'\\\r\n]|$))""",
    re.IGNORECASE,
)
# A printed dict, list or tuple of texts, and not a remark in brackets.
_PRINTED = lazy_pattern(r"""[\[({]{1,9}\s{0,9}[bBrRuU]{0,2}\\{0,4}["']""")
_NOTHING = lazy_pattern(r"(?i:none|null|true|false|nil|undefined)\b|\*+|(?:SecretStr|SecretBytes|Secret)\(b?'\**'\)|<")

_SCHEMES = lazy_pattern(
    r"\b(?P<scheme>bearer|basic|token|negotiate|apikey)(?P<gap>[ ]++)(?P<given>[\w.~+/\-]{8,}+=*+)",
    re.IGNORECASE,
)
_HAS_SCHEME = lazy_pattern(
    r"(?:bearer|basic|digest|negotiate|token|apikey|aws4-hmac-sha256|hawk|ntlm)\s", re.IGNORECASE
)
# Pydantic's messages show the value, shortened in its middle, and do not say in this line whose it is.
# It goes to the last sign of its end: the value may have one in it.
_INPUT_VALUE = lazy_pattern(r"input_value=(?:(?!input_value=)[^\n])*(?=, input_type=)")
# The same of the list of its errors, printed or as JSON: `'loc': ('api_key',), 'msg': '…', 'input': '…'`.
_INPUT_OF_ERROR = lazy_pattern(r"""(?P<quote>\\{0,4}["'])input(?P=quote)\s{0,9}:\s{0,9}""")
_OBJECT = lazy_pattern(r"<[^>\r\n]*+>?")
_ELEMENT = lazy_pattern(r"<(?P<name>[\w:.\-]{1,80})(?P<rest>(?:\s[^<>]{0,999})?)>(?P<value>[^<>]++)(?=</)")  # of XML
_SENTENCE = lazy_pattern(r"(?<![\w.\-])(?P<name>[\w.\-]{1,80})(?P<between>[ ]{1,9}is[ ]{1,9})(?P<value>[^\s]{6,200})")

_STATEMENT = lazy_pattern(r"\b(?P<before>password\s{1,9}[eE]?)'(?:[^']|'')++'", re.IGNORECASE)  # of SQL


MAY_HOLD_SECRET = (
    r"(?i:pa(?:ss|ß)(?:w|phrase)|secret|token|credent|cookie|ap[iı]key|author[iı]zat|signature)"
    r"|(?i:pa(?:ss|ß)|pwd|keys?|dsn|auth|sig)(?:[^a-z0-9]|$)"
    r"""|%[0-9A-Fa-f]{2}|input(?:_value|["'\\])|://(?s:.*)@"""
    rf"|(?i:bearer|basic|negotiate) +[^ ]{{8}}|{MAY_HAVE_SHAPE}"
)
"""What is in each text in which something is masked, and in few others.

A part of a name that says that a value is secret, anywhere or as a word of its own, of which an upper case letter may
begin the next; what hides a name in a query; an error of Pydantic; a URL with a user; a scheme and a value; a shape.
In upper case `ß` is "SS", and `ı` is "I".
"""


def _match_first(text: str) -> bool:
    global _match_cache  # noqa: PLW0603 - each line of the log calls the engine's own function, and nothing around it
    _match_cache = matcher(MAY_HOLD_SECRET)
    return _match_cache(text)


_match_cache: Callable[[str], bool] = _match_first


def mask_text(text: str) -> str:
    """`text` with `***` for every secret that can be told: by the name before it, by its place in a URL, by its shape.

    And for all that is hidden, whatever is around it (`opa._util.masking.hidden`).

    `text` may be one URL, several joined with `;` or `,`, or any text, like an error message or a printed dict. A
    password in a URL is masked as a whole also where it has characters that should have been percent-encoded. Takes
    time in proportion to the length of the text.
    """
    if current.hidden_texts:
        text = mask_hidden(text)
    if text is _harmless_cache or not _match_cache(text if text.isascii() else whole(text)):
        return text
    return mask_shapes(_mask_by_place(text))


# The text that was last found to hold no secret. A message is asked when its arguments are put into it, and the same
# object comes back when its line is written: then it need not be asked again. It is kept, so no other has its identity.
_harmless_cache = ""
_KEPT = 10_000


def may_hold_secret(text: str) -> bool:
    """Whether anything in `text` may be secret, by its shape or by a name that stands in it, also without a value."""
    if current.hidden_texts and mask_hidden(text) is not text:
        return True
    global _harmless_cache  # noqa: PLW0603 - another thread may put its own there: then this one is asked once more
    if _match_cache(text if text.isascii() else whole(text)):
        return True
    if len(text) <= _KEPT:
        _harmless_cache = text
    return False


def _mask_by_place(text: str) -> str:
    """Mask by URLs, names and schemes, and not by shapes."""
    if "://" in text:
        text = "".join(_masked_urls(text))
    upper = text.upper()
    if _has_telling_word(upper):
        if "=" in text and "?" in text and "://" not in text:  # the path of a request, as in an access log
            text = _QUERY_ITEM.sub(_mask_query_item, text)
        text = _mask_named(text)
        if "PASSWORD" in upper and "'" in text:
            text = _STATEMENT.sub(rf"\g<before>'{MASK}'", text)
        if "</" in text:
            text = _ELEMENT.sub(_mask_element, text)
        if " is " in text:
            text = _SENTENCE.sub(_mask_sentence, text)
    if _has_scheme(upper):
        text = _SCHEMES.sub(_mask_scheme, text)
    if "input" in text:
        text = _mask_inputs(text)
    return text


def mask_url(text: str) -> str:
    """The same of a text that may be one URL and no more: its password, blanks and all, goes to the last `@`."""
    if "@" in text and _URL_ALONE.match(text):
        text = "".join(_masked_urls(text, is_alone=True))
    return mask_text(text)


def _has_scheme(upper: str) -> bool:
    """Whether a text in upper case may name a scheme of HTTP's authentication, before what it is to show."""
    return "BEARER " in upper or "BASIC " in upper or "TOKEN " in upper or "APIKEY " in upper or "NEGOTIATE " in upper


def _has_telling_word(upper: str) -> bool:
    """Whether a text in upper case has a part of a name that says that a value is secret, or what may hide one."""
    return (
        "PASS" in upper
        or ("KE" in upper and ("TOKEN" in upper or "KEY" in upper))  # both in one look, where there is neither
        or ("CRE" in upper and ("SECRET" in upper or "CRED" in upper))
        or "AUTH" in upper
        or "COOKIE" in upper
        or "PWD" in upper
        or "DSN" in upper
        or "SIG" in upper
        or "%" in upper
    )


def _masked_urls(text: str, *, is_alone: bool = False) -> Iterator[str]:
    first, *pieces = text.split("://")
    yield first
    scheme = first[len(first.rstrip(_SCHEME_CHARACTERS)) :]
    body: list[str] = []
    for number, piece in enumerate(pieces, start=1):
        is_last = number == len(pieces)
        end = len(piece) if is_last else len(piece.rstrip(_SCHEME_CHARACTERS))
        # Without a scheme, or after ":" or "@", no other URL begins: it is a password that has "://" in it.
        if is_last or (end < len(piece) and not piece[:end].endswith((":", "@"))):
            yield f"://{_mask_body('://'.join([*body, piece[:end]]), scheme, is_alone)}{piece[end:]}"
            body, scheme = [], piece[end:]
        else:
            body.append(piece)


def _mask_body(body: str, scheme: str, is_alone: bool) -> str:
    """What follows the `://` of a URL, and the text behind the URL, masked."""
    url = body.split(maxsplit=1)[0] if body and not body[0].isspace() else ""
    if len(url) < len(body):
        url = body[: _end_of_url(body, url, is_alone)]
    rest = body[len(url) :]
    # A "/", "?" or "#" that stands unencoded in a password ends the authority too early, so the last "@" counts.
    userinfo = url.rpartition("@")[0]
    user, _, password = userinfo.partition(":")
    if "@" not in re.split(r"[/?#]", url, maxsplit=1)[0] and _is_path(userinfo, user, password, scheme):
        userinfo = password = ""
    tail = url[len(userinfo) :]
    if password:
        userinfo = f"{user}:{MASK}"
    elif _TOKEN_ALONE.fullmatch(userinfo):
        userinfo = MASK
    return userinfo + _QUERY_ITEM.sub(_mask_query_item, tail) + rest


def _end_of_url(body: str, url: str, is_alone: bool) -> int:
    """Where it ends: further than its first word, which is `url`, where a password has blanks in it."""
    if is_alone:
        at = body.rfind("@")
        return max(len(url), _WORD.match(body, at).end()) if at >= 0 else len(url)  # type: ignore[union-attr]
    user, colon, password = url.partition(":")
    if "@" in url or not colon or "/" in user or (user and _PORT_OR_NOTHING.match(password)) or _END_OF_URL.search(url):
        return len(url)
    more = _REST_OF_PASSWORD.match(body, len(url))
    return _WORD.match(body, more.end()).end() if more else len(url)  # type: ignore[union-attr]


def _is_path(userinfo: str, user: str, password: str, scheme: str) -> bool:
    """Whether what stands before the last "@" of a URL is its host and the beginning of its path."""
    if not password or userinfo.startswith("["):
        return True
    if not user:
        return False
    has_path = "/" in user or _PORT_AND_PATH.match(password) is not None
    return has_path and (scheme.lower() in _WITH_AT_IN_PATH or bool(_NEXT_IN_LIST_OR_QUERY.search(userinfo)))


def _mask_query_item(match: re.Match[str]) -> str:
    value = match["value"]
    if not value or not looks_secret(unquote(match["name"])):
        return match[0]
    joint = value[-1] if value[-1] in ",;" else ""
    return f"{match['before']}{match['name']}={MASK}{joint}"


def _mask_named(text: str) -> str:
    """Mask what stands behind a secret's name: `name=value`, `"name": value`, `--name value`, `Name: value`."""
    pieces = []
    done = position = 0
    while found := _NAMED.search(text, position):
        span = _value_behind(found, text)
        if span is None:  # what is in quotes may be a text of its own, with a name in it
            position = found.end("quote") if found["quote"] else found.end()
        else:
            start, end = span
            pieces += [text[done:start], MASK]
            done = position = end
    return "".join([*pieces, text[done:]]) if pieces else text


def _mask_element(match: re.Match[str]) -> str:
    is_secret = match["value"].strip() and looks_secret_in_text(match["name"].rpartition(":")[2])
    return f"<{match['name']}{match['rest']}>{MASK}" if is_secret else match[0]


def _mask_sentence(match: re.Match[str]) -> str:
    is_secret = looks_secret_in_text(match["name"]) and _looks_random(match["value"].strip("'\"`"))
    return f"{match['name']}{match['between']}{MASK}" if is_secret else match[0]


def _mask_inputs(text: str) -> str:
    """Mask the values that errors of Pydantic show."""
    if "input_value=" in text:
        text = _INPUT_VALUE.sub(f"input_value={MASK}", text)
    if "loc" not in text:
        return text
    pieces = []
    done = position = 0
    while found := _INPUT_OF_ERROR.search(text, position):
        position = start = found.end()
        span = _input_at(text, start)
        if span is not None:
            pieces += [text[done : span[0]], MASK]
            done = position = span[1]
    return "".join([*pieces, text[done:]]) if pieces else text


def _input_at(text: str, start: int) -> tuple[int, int] | None:
    if value := _QUOTED_VALUE.match(text, start) or _ESCAPED_VALUE.match(text, start):
        return _inside(value)
    if value := _OBJECT.match(text, start):
        return value.span()
    return None if _NOTHING.match(text, start) else _unquoted_in_mapping(text, start)


def _value_behind(found: re.Match[str], text: str) -> tuple[int, int] | None:
    """Where the secret value begins and ends, or None where it is none."""
    name = found["quoted"] or found["option"] or found["name"]
    if not looks_secret_in_text(name):
        return None
    start = found.end()
    is_name_in_list = found["between"] == "," and not name.startswith("--") and not is_secret_header(name)
    # What is not masked may not be read far: many of it would take long.
    if is_name_in_list or start == len(text) or _NOTHING.match(text, start):
        return None
    if value := _QUOTED_VALUE.match(text, start) or _ESCAPED_VALUE.match(text, start):
        return _inside(value)
    if text[start] in "\"'":
        return None  # an empty text
    if found["quoted"]:
        return _value_in_mapping(found, text)
    return _value_in_line(found, name, text)


def _inside(value: re.Match[str]) -> tuple[int, int] | None:
    return None if set(value[2]) == {"*"} else value.span(2)


def _value_in_mapping(found: re.Match[str], text: str) -> tuple[int, int] | None:
    """Of a printed dict or JSON; not of a sentence, as in "plugin 'tokens': 3 routes"."""
    if found["between"] == "," or not _is_in_mapping(text, found.start()):
        return None
    return _unquoted_in_mapping(text, found.end())


def _unquoted_in_mapping(text: str, start: int) -> tuple[int, int] | None:
    value = _VALUE_IN_MAPPING.match(text, start)
    end = value.end() if value else start
    end = _end_of_brackets(text, end) if text[end : end + 1] in ("(", "[", "{") else end
    return (start, end) if end > start else None


def _is_in_mapping(text: str, quote: int) -> bool:
    before = text[max(0, quote - 80) : quote].rstrip()
    return not before or before[-1] in "{,[("


def _value_in_line(found: re.Match[str], name: str, text: str) -> tuple[int, int] | None:
    start = found.end()
    if is_secret_header(name):
        # Behind `=` the value ends with the word, unless it is one with a scheme before it.
        has_scheme = _HAS_SCHEME.match(text, start)
        is_cookie = found["sign"] == ":" and "COOKIE" in name.upper() and _COOKIE.match(text, start)
        if has_scheme or is_cookie:
            digest = has_scheme and has_scheme[0].lower().startswith("digest")
            return (_REST_OF_LINE if digest else _REST_OF_QUOTED_LINE).match(text, start).span()  # type: ignore[union-attr]
    if name.upper() in _IN_CONNECTION_STRING and (braces := _IN_BRACES.match(text, start)):
        return braces.span()
    if text[start] in "[{(":
        is_value = found["sign"] == "=" or (found["sign"] and _PRINTED.match(text, start))
        return (start, _end_of_brackets(text, start)) if is_value else None
    if found["sign"] == ":" and not _looks_random(text[start : start + _WORD_LOOKED_AT]):
        # A name with a hyphen is a header's as it is sent; `api_key: missing` is a sentence.
        is_header = "-" in name and is_secret_header(name) and _WORD_OF_HEADER.match(text, start)
        if not is_header:
            return None
    value = _PLAIN_VALUE.match(text, start)
    if value is None or (name.upper().endswith("TOKENS") and value[0].isdecimal()):
        return None
    shown = value[0].rstrip(")]}'\">") if found["sign"] else value[0].rstrip("]'\"")
    return None if not shown or shown == MASK else (start, start + len(shown))


_IN_CONNECTION_STRING = frozenset({"PWD", "PASSWORD"})
"""Of ODBC, where a value stands in braces, and two closing ones are one that belongs to it."""
_WORD_LOOKED_AT = 200


def _looks_random(text: str) -> bool:
    """Whether what stands behind `name: ` is a secret, and not the next word of a sentence."""
    found = _PLAIN_VALUE.match(text)
    word = (found[0] if found else "").rstrip(".)]}'\"!?")
    return len(word) >= 6 and "://" not in word and any(character in "0123456789!@$%^*+" for character in word)


_LONGEST_OVER_LINES = 400
"""How many characters something in brackets may have that goes over several lines, such as a dict printed nicely."""


def _end_of_brackets(text: str, start: int) -> int:
    """The end of what begins with a bracket at `start`; of the line, where it is cut off."""
    line_end = text.find("\n", start)
    line_end = len(text) if line_end < 0 else line_end
    depth = 0
    for found in _BRACKETS.finditer(text, start, max(line_end, start + _LONGEST_OVER_LINES)):
        if found["open"]:
            depth += 1
        elif found["close"]:
            depth -= 1
            if depth == 0:
                return found.end()
    return line_end


def _mask_scheme(match: re.Match[str]) -> str:
    scheme, given = match["scheme"].lower(), match["given"]
    if scheme == "basic":
        is_secret = _is_user_and_password(given)
    else:
        has_digit = any(character.isdecimal() for character in given)
        is_secret = (len(given) >= (8 if scheme == "bearer" else 20) and has_digit) or len(given) >= 32
    return f"{match['scheme']}{match['gap']}{MASK}" if is_secret else match[0]


def _is_user_and_password(text: str) -> bool:
    try:
        return b":" in base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        return False
