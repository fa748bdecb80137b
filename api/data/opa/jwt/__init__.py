"""JSON Web Tokens: read and verified, with the keys that their issuer has published.

For plugins; the built-in ones for tokens and for sessions are made of it.
"""

from opa.jwt.claims import check_audience, check_required, check_times, claim_in, is_one_of, scopes_in, subject
from opa.jwt.discovery import discover, fetch_keys, url_in
from opa.jwt.download import DownloadError, get_json, post_form
from opa.jwt.jwks import RemoteKeys
from opa.jwt.keys import Keys, PublishedKeys, SecretKey, published_keys
from opa.jwt.token import Signatures, Token, read

__all__ = [
    "DownloadError",
    "Keys",
    "PublishedKeys",
    "RemoteKeys",
    "SecretKey",
    "Signatures",
    "Token",
    "check_audience",
    "check_required",
    "check_times",
    "claim_in",
    "discover",
    "fetch_keys",
    "get_json",
    "is_one_of",
    "post_form",
    "published_keys",
    "read",
    "scopes_in",
    "subject",
    "url_in",
]
