"""The pages: plain forms, without a script."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse

from opa import config
from opa.plugins.access_sessions.paths import prefix

_STYLE = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
main { box-sizing: border-box; max-width: 24rem; margin: 10vh auto; padding: 1rem }
label { display: block; margin-top: 1rem }
input, button, .button { box-sizing: border-box; width: 100%; padding: .6rem; font: inherit }
button, .button { margin-top: 1.5rem; cursor: pointer }
.button { display: block; text-align: center; text-decoration: none; border: 1px solid; border-radius: .3rem }
[role=alert] { border-left: .3rem solid #c00; padding-left: .6rem }
"""


@dataclass(frozen=True, slots=True)
class Ways:
    """How people sign in.

    Attributes:
        has_form: whether by a password.
        providers: what the buttons say, by the names of providers.
    """

    has_form: bool
    providers: Mapping[str, str]

    @staticmethod
    def start_path(provider: str) -> str:
        """Where a browser begins to sign in with a provider."""
        return f"{config.SIGN_IN_URL}/{provider}"

    @classmethod
    def callback_path(cls, provider: str) -> str:
        """Where the provider sends it back to."""
        return f"{cls.start_path(provider)}/callback"


def sign_in_page(request: Request, ways: Ways, *, back: str = "", problem: str = "", user: str | None = None) -> str:
    """All ways to sign in, and above them what was wrong, where something was.

    Args:
        request: which is answered.
        ways: in which people sign in.
        back: where the browser is to go then.
        problem: what was wrong.
        user: who was in the form that the problem is of; None where it is of none.
    """
    alert = f'<p role="alert" id="problem">{escape(problem)}</p>' if problem else ""
    form = _form(request, back, user) if ways.has_form else ""
    buttons = "\n".join(_button(request, name, label, back) for name, label in ways.providers.items())
    return _page("Sign in", "\n".join(part for part in (alert, form, buttons) if part))


def _form(request: Request, back: str, user: str | None) -> str:
    described = ' aria-describedby="problem" aria-invalid="true"' if user is not None else ""
    name = escape(user or "")
    return f"""<form method="post" action="{_url(request, config.SIGN_IN_URL)}">
<input type="hidden" name="next" value="{escape(back)}">
<label for="user">User</label>
<input id="user" name="user" value="{name}" autocomplete="username" autocapitalize="none" spellcheck="false" \
maxlength="64" required{described}>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" maxlength="1024" required\
{described}>
<button>Sign in</button>
</form>"""


def _button(request: Request, name: str, label: str, back: str) -> str:
    # A link: a form whose answer leads to another host is not sent by browsers, by the policy of these pages.
    query = f"?{urlencode({'next': back})}" if back else ""
    return f'<a class="button" href="{_url(request, Ways.start_path(name))}{query}">Sign in with {escape(label)}</a>'


def signed_in_page(request: Request, user: str) -> str:
    """Who is signed in, and the button to sign out."""
    return _page(
        "Signed in",
        f"""<p>You are signed in as <strong>{escape(user)}</strong>.</p>
<form method="post" action="{_url(request, config.SIGN_OUT_URL)}">
<button>Sign out</button>
</form>""",
    )


def problem_page(problem: str) -> str:
    """What is wrong, where there is no use in a form."""
    return _page("Sign in", f'<p role="alert">{escape(problem)}</p>')


def page(html: str, status: int = 200, headers: Mapping[str, str] | None = None) -> HTMLResponse:
    """The answer with a page, which nobody keeps, shows in a frame, or runs a script in."""
    response = HTMLResponse(html, status, headers)
    response.headers["Cache-Control"] = "no-store"
    # A browser that may not tell where a form was sent from says that its origin is null.
    response.headers["Referrer-Policy"] = "same-origin"
    if config.PAGES_POLICY:
        response.headers["Content-Security-Policy"] = config.PAGES_POLICY.replace("{scripts}", "")
    return response


def _page(title: str, main: str) -> str:
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} - {escape(config.PROJECT_NAME)}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{main}
</main>
</body>
</html>
"""


def _url(request: Request, path: str) -> str:
    return escape(prefix(request) + path)
