"""What it is called where a server gives no answer, or breaks off in the middle of one."""

from __future__ import annotations

import http.client

NO_ANSWER = (OSError, http.client.HTTPException)
"""What `urllib.request` and `http.client` raise: one that ends while it answers is not there, as one that has ended."""
