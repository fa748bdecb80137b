"""Sends a message by e-mail."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any

from opa.plugins.notify.message import Message, as_html, as_text
from opa.plugins.notify.webhook import NotDeliveredError

TIME_LIMIT = 20.0
"""Seconds in which a server has to have taken a mail."""
PORTS = {"starttls": 587, "tls": 465, "none": 25}


async def send_mail(target: Mapping[str, Any], message: Message) -> None:
    """Send it to all addresses of a target.

    Raises:
        NotDeliveredError: the server has not taken it in time.
    """
    import aiosmtplib

    tls = target["TLS"]
    try:
        async with asyncio.timeout(TIME_LIMIT):
            await aiosmtplib.send(
                as_mail(target, message),
                hostname=target["HOST"],
                port=target["PORT"] or PORTS[tls],
                username=target["USER"] or None,
                password=target["PASSWORD"] or None,
                use_tls=tls == "tls",
                start_tls=tls == "starttls",
                timeout=TIME_LIMIT / 2,
            )
    except TimeoutError:
        raise NotDeliveredError(f"{target['HOST']} has not taken the mail within {TIME_LIMIT:g} s") from None
    except aiosmtplib.SMTPResponseException as error:
        # 4xx may pass; a wrong password or an address that does not exist does not.
        raise NotDeliveredError(
            f"{type(error).__name__}: {error.code} {error.message}", is_final=error.code >= 500
        ) from None
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        raise NotDeliveredError(f"{type(error).__name__}: {error}") from None


def as_mail(target: Mapping[str, Any], message: Message) -> EmailMessage:
    """The mail, as text and as HTML."""
    mail = EmailMessage()
    mail["Subject"] = message.title
    mail["From"] = target["FROM"]
    mail["To"] = ", ".join(target["TO"])
    mail["Date"] = formatdate(usegmt=True)
    mail["Message-ID"] = make_msgid(domain=target["FROM"].rpartition("@")[2].strip("> ") or "localhost")
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(as_text(message))
    mail.add_alternative(as_html(message), subtype="html")
    return mail
