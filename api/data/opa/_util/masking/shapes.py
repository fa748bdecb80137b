"""Secrets that are known by their shape alone: tokens, keys and hashes with a prefix that their issuer has chosen.

The table is written by hand after the rules of gitleaks (config/gitleaks.toml, version 8.28), the plugins of
detect-secrets 1.5, and the list of patterns of GitHub's secret scanning, as they were in November 2026. It has what can
be told by a prefix; what looks random and nothing more, such as 40 hexadecimal digits, may as well be a commit.

To add one: a line in `_PREFIXED`, whose start has three or more fixed characters, and an example in
`tests/_util/masking/planted.py`.
"""

from __future__ import annotations

import re
from functools import cache

from opa._util.masking.quick import matcher, whole

MASK = "***"

# Start, and what follows it: ten characters or more of those that `_MAY_HAVE_SHAPE` has.
_PREFIXED: tuple[tuple[str, str], ...] = (
    # our own API keys, cut off too: what follows the first twelve characters is secret
    ("opa_", r"[A-Za-z0-9]{16,}"),
    ("opas_", r"[\w-]{20,}"),  # the id of a session
    # forges and packages
    ("gh[pousr]_", r"\w{30,255}"),
    ("github_pat_", r"\w{22,255}"),
    ("gl(?:pat|dt|rt|ft|agent|oas|soat|imt|cbt|ptt|rtr|ffct)-", r"[\w.-]{16,300}"),
    ("npm_", r"[A-Za-z0-9]{30,}"),
    ("pypi-", r"[\w-]{50,}"),
    ("rubygems_", r"[a-f0-9]{40,}"),
    ("CLOJARS_", r"[A-Za-z0-9]{50,}"),
    ("dckr_", r"(?:pat|oat)_[\w-]{20,}"),
    ("AKCp", r"[A-Za-z0-9]{60,}"),
    ("AT(?:AT|CT)T3", r"[\w=-]{50,}"),
    ("sgp_", r"\w{30,}"),
    # clouds
    ("(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])", r"[A-Z0-9]{16}(?![A-Za-z0-9])"),
    ("AIza", r"[\w-]{35}"),
    ("ya29[.]", r"[\w-]{16,}"),
    ("GOCSPX-", r"[\w-]{20,}"),
    ("do[opr]_v1_", r"[a-f0-9]{40,}"),
    ("HRKU-", r"[\w-]{30,}"),
    ("dapi", r"[a-f0-9]{32}(?:-\d)?(?![A-Za-z0-9])"),
    ("hv[sbr][.]", r"[\w-]{20,}"),
    ("atlasv1[.]", r"[\w=-]{50,}"),
    ("pul-", r"[a-f0-9]{40}"),
    ("pscale_", r"(?:tkn|pw|oauth)_[\w=.-]{30,}"),
    ("sbp_", r"[a-f0-9]{40}"),
    ("dp[.]", r"(?:pt|st|ct|sa|scim|audit)[.][\w.-]{16,}"),
    ("tskey-", r"[\w-]{16,}"),
    ("fo1_", r"[\w-]{40,}"),
    ("ops_eyJ", r"[\w=-]{100,}"),
    ("AGE-SECRET-KEY-1", r"[0-9A-Z]{50,}"),
    ("pnu_", r"[A-Za-z0-9]{30,}"),
    # models
    ("sk-", r"(?:(?:ant|proj|or|svcacct|admin)-[\w-]{16,}|[A-Za-z0-9]{32,})"),
    ("hf_", r"[A-Za-z]{30,}"),
    ("r8_", r"[A-Za-z0-9]{30,}"),
    ("gsk_", r"[A-Za-z0-9]{40,}"),
    ("xai-", r"[A-Za-z0-9]{60,}"),
    ("pplx-", r"[A-Za-z0-9]{40,}"),
    # payment and shops
    ("[sr]k_(?:live|test|prod)_", r"[A-Za-z0-9]{10,}"),
    ("whsec_", r"[A-Za-z0-9+/=]{16,}"),
    ("shp(?:at|ca|pa|ss)_", r"[a-fA-F0-9]{32}"),
    ("sq0", r"(?:atp|csp|idp)-[\w-]{22,}"),
    ("shippo_", r"(?:live|test)_[a-f0-9]{40}"),
    # mail, chat, tickets
    ("xox[abeoprs](?:[.]xox[bp])?-", r"[\w-]{10,}"),
    ("xapp-", r"[\w-]{20,}"),
    ("SG[.]", r"[\w-]{16,}[.][\w-]{16,}"),
    ("key-", r"[a-f0-9]{32}(?![A-Za-z0-9])"),
    ("xkeysib-", r"[a-f0-9]{60,}(?:-\w{16})?"),
    ("lin_", r"(?:api|oauth)_[A-Za-z0-9]{30,}"),
    ("ntn_", r"[A-Za-z0-9]{40,}"),
    ("figd_", r"[\w-]{30,}"),
    ("tfp_", r"[\w.-]{40,}"),
    # watching
    ("glsa_", r"[A-Za-z0-9]{32}_[a-fA-F0-9]{8}"),
    ("glc_", r"[A-Za-z0-9+/=]{32,}"),
    ("NRAK-", r"[A-Z0-9]{27}"),
    ("sntry[su]_", r"[\w+/=]{40,}"),
    ("PMAK-", r"[a-f0-9]{24}-[a-f0-9]{34}"),
    ("dt0[a-z]01[.]", r"[A-Z0-9]{20,}[.][A-Z0-9]{40,}"),
    ("CFPAT-", r"[\w-]{40,}"),
    # standards: a JWT or JWE, and a key in the format of SSH's files
    ("eyJ", r"[\w-]{10,}+[.][\w-]*+[.][\w-]*+(?:[.][\w-]*+){0,2}"),
    ("b3BlbnNzaC1rZXk", r"[A-Za-z0-9+/=]{20,}"),
)

# The body of a key that is cut off, or that stands in one line with \n in it, is masked too.
_PEM = (
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[\sA-Za-z0-9+/=\\:,.|]|-(?!----))*+(?:-----END [A-Z0-9 ]{0,40}-----)?"
)
_OTHERS = (
    r"opa_[A-Za-z0-9]{61}",  # one of our own that is whole, also behind the %20 of a URL
    r"\b[0-9a-f]{32}-us\d{1,2}\b",  # Mailchimp
    r"(?<![\w~.-])[\w~.-]{3}\dQ~[\w~.-]{31,34}",  # Azure's client secrets
    r"(?<![\w-])\d{8,10}:AA[\w-]{32,33}(?![\w-])",  # Telegram
    r"[$](?:2[abxy]|5|6|7|y|gy|argon2(?:id|i|d))[$][\w./$,=+-]{20,}",  # a hash of a password
    r"(?<=hooks[.]slack[.]com/)(?:services|workflows|triggers)/[\w/-]+",
    r"(?<=/api/webhooks/)\d+/[\w-]+",  # Discord
    r"(?<=/webhookb2/)[\w@/-]+",  # Teams
)
# Not inside of a word; "\n" written as two characters stands before a word, and not in it.
_START = r"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrt]))"
_SHAPES = f"{_START}(?:{'|'.join(f'{start}{rest}' for start, rest in _PREFIXED)})|{_PEM}|{'|'.join(_OTHERS)}"

SHORTEST = 20
"""How many characters a secret has that is known by its shape."""

MAY_HAVE_SHAPE = (
    rf"(?:^|[^A-Za-z0-9_-]|\\[nrt])(?:{'|'.join(start for start, _ in _PREFIXED)})[A-Za-z0-9_+/=.~-]{{10}}"
    r"|opa_[A-Za-z0-9]{16}|PRIVATE KEY|-us[0-9]|Q~|:AA[A-Za-z0-9_-]{10}|[$](?:2[abxy]|5|6|7|y|gy|argon2)"
    r"|hooks[.]slack[.]com/|/api/webhooks/|/webhookb2/"
)
"""What each text has in which there is a secret of a known shape, in the syntax of `opa._util.masking.quick`."""


def mask_shapes(text: str) -> str:
    """`text` with `***` for each secret that is known by its shape. Takes time in proportion to the text's length."""
    may_have_shape = matcher(MAY_HAVE_SHAPE)(text if text.isascii() else whole(text))
    return _shapes().sub(MASK, text) if may_have_shape else text


@cache
def _shapes() -> re.Pattern[str]:
    """Made when a text may have one: it takes as long as a hundredth of a start."""
    return re.compile(_SHAPES)
