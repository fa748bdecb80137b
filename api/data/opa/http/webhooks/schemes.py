"""How senders of webhooks sign them, and what is compared on arrival.

Each scheme is a keyed hash (HMAC) of the body as it was sent, most of them with the time of sending in it, so that a
recorded request is worth nothing a few minutes later.

GitHub: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
Stripe: https://docs.stripe.com/webhooks#verify-manually
Slack: https://api.slack.com/authentication/verifying-requests-from-slack
Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hmac
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from time import time
from typing import Final, Literal

from opa.process.extras import need

Encoding = Literal["hex", "base64"]
ALGORITHMS: Final = ("sha256", "sha384", "sha512", "sha1")


class RefusedError(Exception):
    """A request is not signed as it should be; the message says why, and quotes nothing of it."""


class Scheme(ABC):
    """A way to sign.

    Attributes:
        header: in which the signature stands.
        headers: all that it needs; each may be there once.
    """

    header: str
    headers: tuple[str, ...]

    def problem(self, secret: bytes) -> str | None:
        """What is wrong with a secret, where that can be told without a request."""
        return None

    @abstractmethod
    def verify(self, body: bytes, headers: Mapping[str, str], secrets: Sequence[bytes], tolerance: float) -> None:
        """Compare a signature.

        Args:
            body: as it was sent.
            headers: the values of those in `headers`, by name.
            secrets: one of them has signed.
            tolerance: seconds that the time of sending may be off.

        Raises:
            RefusedError: the body is not signed, with none of the secrets, or not at this time.
        """


class HashOfBody(Scheme):
    """A header that has the hash of the body, or of the time of sending, a dot and the body.

    Args:
        header: its name.
        algorithm: of the hash.
        encoding: of the hash in the header.
        prefix: stands before it there.
        timestamp: name of a header with the time of sending in seconds since 1970; empty where nothing says it.
    """

    def __init__(
        self, header: str, algorithm: str = "sha256", encoding: Encoding = "hex", prefix: str = "", timestamp: str = ""
    ) -> None:
        self.header = header
        self.headers = (header, timestamp) if timestamp else (header,)
        self._algorithm = algorithm
        self._encoding = encoding
        self._prefix = prefix
        self._timestamp = timestamp

    def verify(self, body: bytes, headers: Mapping[str, str], secrets: Sequence[bytes], tolerance: float) -> None:
        """As `Scheme` has it."""
        message = body
        if self._timestamp:
            check_time(headers[self._timestamp], tolerance)
            message = f"{headers[self._timestamp]}.".encode() + body
        given = headers[self.header]
        if not given.startswith(self._prefix):
            raise RefusedError(f"the header {self.header} does not begin with {self._prefix!r}")
        given = given.removeprefix(self._prefix)
        compare([_hash(secret, message, self._algorithm, self._encoding) for secret in secrets], [given])


class Stripe(Scheme):
    """`t=TIME,v1=HASH`, with more than one hash while a secret is exchanged."""

    header = "Stripe-Signature"
    headers = (header,)

    def verify(self, body: bytes, headers: Mapping[str, str], secrets: Sequence[bytes], tolerance: float) -> None:
        """As `Scheme` has it."""
        pairs = [item.strip().partition("=") for item in headers[self.header].split(",")]
        times = [value for key, _, value in pairs if key == "t"]
        if len(times) != 1:
            raise RefusedError(f"the header {self.header} does not say one time")
        check_time(times[0], tolerance)
        message = f"{times[0]}.".encode() + body
        given = [value for key, _, value in pairs if key == "v1"]
        compare([_hash(secret, message) for secret in secrets], given)


class Slack(Scheme):
    """`v0=HASH`, and the time in a header of its own."""

    header = "X-Slack-Signature"
    headers = (header, "X-Slack-Request-Timestamp")

    def verify(self, body: bytes, headers: Mapping[str, str], secrets: Sequence[bytes], tolerance: float) -> None:
        """As `Scheme` has it."""
        sent = headers["X-Slack-Request-Timestamp"]
        check_time(sent, tolerance)
        message = f"v0:{sent}:".encode() + body
        compare([f"v0={_hash(secret, message)}" for secret in secrets], [headers[self.header]])


class Standard(Scheme):
    """Standard Webhooks, by its own library."""

    header = "webhook-signature"
    headers = (header, "webhook-id", "webhook-timestamp")

    def __init__(self) -> None:
        need("standardwebhooks", by='Signed("standard")', extra="webhooks")

    def problem(self, secret: bytes) -> str | None:
        """A secret of this scheme is base64, with `whsec_` before it."""
        from standardwebhooks import Webhook

        try:
            Webhook(secret.decode())
        except ValueError:
            return "is not base64 with whsec_ before it"
        return None

    def verify(self, body: bytes, headers: Mapping[str, str], secrets: Sequence[bytes], tolerance: float) -> None:
        """As `Scheme` has it; the library has a tolerance of its own, which holds as well."""
        from standardwebhooks import Webhook, WebhookVerificationError

        check_time(headers["webhook-timestamp"], tolerance)
        try:
            text = body.decode()
        except UnicodeDecodeError:
            raise RefusedError("the body is no UTF-8 text, as this scheme has it") from None
        reason = "the signature does not fit"
        for secret in secrets:
            try:
                Webhook(secret.decode()).verify(text, dict(headers), json_parse=False)
            except WebhookVerificationError as error:
                reason = str(error)
            except ValueError:  # the library unpacks and decodes whatever a header has
                reason = f"the header {self.header} is none of this scheme"
            else:
                return
        raise RefusedError(reason)


SCHEMES: Final[Mapping[str, type[Scheme]]] = {"stripe": Stripe, "slack": Slack, "standard": Standard}
"""Those with a name; that of GitHub is a hash of the body."""


def scheme_named(name: str) -> Scheme | None:
    """The scheme of a service; None for a name that is none."""
    if name == "github":
        return HashOfBody("X-Hub-Signature-256", prefix="sha256=")
    return SCHEMES[name]() if name in SCHEMES else None


def check_time(text: str, tolerance: float) -> None:
    """See that a request was sent just now.

    Args:
        text: seconds since 1970, from a header.
        tolerance: seconds that it may be off, earlier or later.

    Raises:
        RefusedError: it was not, or this is not a time.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= len("99999999999")):
        raise RefusedError("the time of sending is not a number of seconds")
    if abs(time() - int(text)) > tolerance:
        raise RefusedError("the time of sending is too far from now")


def compare(expected: Sequence[str], given: Sequence[str]) -> None:
    """See that one of the signatures is one that is expected, in a time that does not tell how much of it is right.

    Raises:
        RefusedError: none is.
    """
    fits = [hmac.compare_digest(right.encode(), one.encode()) for right in expected for one in given]
    if not any(fits):
        raise RefusedError("the signature does not fit")


def _hash(secret: bytes, message: bytes, algorithm: str = "sha256", encoding: Encoding = "hex") -> str:
    digest = hmac.digest(secret, message, algorithm)
    return digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()
