"""What the setting WEBHOOKS_OUT may hold: which events are posted where, and by which secrets they are signed."""

import base64
import re
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator

from opa._util.event_patterns import is_pattern
from opa._util.masking.secrets import mask_setting_name
from opa.settings.field_types import TextList, UpperKeys
from opa.settings.notify import webhook_url
from opa.settings.quoting import QuotingError

SETTING = "WEBHOOKS_OUT"
PREFIX = "whsec_"
"""Of a secret, as Standard Webhooks has it."""
_BASE64 = r"[A-Za-z0-9+/]+={0,2}"


def by_name(value: Any) -> Any:
    """A list of webhooks as the mapping that it stands for: by NAME, or else by the host of the URL.

    Raises:
        ValueError: two have the same name, or a name is none.
    """
    if not isinstance(value, list):
        return value
    found: dict[Any, Any] = {}
    for number, item in enumerate(value, start=1):
        fields = {str(key).upper(): each for key, each in item.items()} if isinstance(item, Mapping) else item
        given = fields.pop("NAME", None) if isinstance(fields, dict) else None
        name = (given if given is not None else _host_in(fields)) or str(number)
        if isinstance(name, list | Mapping):
            raise QuotingError(
                f"should have a text as the NAME of webhook {number}", general="should have texts as NAME"
            )
        if name in found:
            general = "should have a NAME for each webhook of the same host"
            shown = mask_setting_name(f"{SETTING}.{name}").removeprefix(f"{SETTING}.")
            raise QuotingError(f"should have a NAME for each webhook: two are called '{shown}'", general=general)
        found[name] = fields
    return found


def _host_in(fields: Any) -> str:
    """What a webhook is called whose NAME is not given; empty where its URL is none."""
    try:
        host = urlsplit(str(fields.get("URL", ""))).hostname if isinstance(fields, dict) else None
    except ValueError:
        host = None
    return re.sub(r"[^a-z0-9]+", "-", host or "").strip("-")[:64]


def patterns(values: list[str]) -> list[str]:
    """Names of events, in which `*` stands for any text.

    Raises:
        ValueError: one of them is none, or there are none.
    """
    if not values:
        raise ValueError("should name the events that are posted, such as orders.*")
    if wrong := [value for value in values if not is_pattern(value)]:
        general = "should have names of events, such as orders.created or orders.*"
        raise QuotingError(f"{general}, and not {wrong[0]!r}", general=general)
    return values


def target_url(value: str) -> str:
    """The URL that events are posted to.

    Raises:
        ValueError: it is none, or has a user or a password; the message does not have it.
    """
    webhook_url(value)
    parts = urlsplit(value)
    if not value.isascii() or parts.fragment:
        raise ValueError("should be a URL of ASCII characters, without a fragment (#…)")
    if parts.username is not None or parts.password is not None:
        raise ValueError("should have no user or password in it: the signature says who has sent the event")
    return value


def secrets(values: list[str]) -> list[str]:
    """What events are signed with: the receiver knows one of them.

    Raises:
        ValueError: one of them is none, or there are none; the message does not have it.
    """
    if not values or not all(map(_is_secret, values)):
        raise ValueError(
            f'should be {PREFIX} and base64, or several with commas between: make one with `echo "{PREFIX}$(openssl'
            ' rand -base64 32)"`'
        )
    return values


def _is_secret(value: str) -> bool:
    return value.startswith(PREFIX) and bool(bytes_of(value))


def bytes_of(secret: str) -> bytes:
    """What a secret stands for; empty where it is none. As receivers read it, padding may be missing."""
    text = secret.removeprefix(PREFIX)
    return base64.b64decode(f"{text}==") if re.fullmatch(_BASE64, text) and len(text.rstrip("=")) % 4 != 1 else b""


class WebhookOut(UpperKeys):
    """One of WEBHOOKS_OUT."""

    ON: Annotated[TextList, AfterValidator(patterns)]
    URL: Annotated[str, AfterValidator(target_url)]
    SECRET: Annotated[TextList, AfterValidator(secrets)]
