"""Secrets of sixty shapes, and innocent texts that look a little like them. None of the secrets was ever in use.

They are put together here, so that no scanner of this repository takes them for real ones.
"""

from __future__ import annotations

import base64
import json

A = "q7Rk2Vx9Lm4Tz8Wb3Nc6Yd1Hf5Jg0Ps" * 4
HEX = "4f9a1c7be2d8036f" * 8
UPPER = "Q7RK2VX9LM4TZ8WB3NC6YD1HF5JG0PS2" * 4
LETTERS = "qRkVxLmTzWbNcYdHfJgPsAeUiOyGtBvC" * 2


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


JWT = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part({'sub': '4711', 'name': 'Mary'})}.{A[:43]}"

# By the shape of the secret itself, wherever it stands.
TOKENS: dict[str, str] = {
    "our own api key": "opa" + f"_{A[:61]}",
    "our own session": "opas" + f"_{A[:40]}-_z",
    "github personal": "ghp" + f"_{A[:36]}",
    "github oauth": "gho" + f"_{A[:36]}",
    "github app": "ghs" + f"_{A[:36]}",
    "github fine-grained": "github_pat" + f"_{A[:22]}_{A[:59]}",
    "gitlab personal": "glpat" + f"-{A[:20]}",
    "gitlab runner": "glrt" + f"-{A[:20]}",
    "npm": "npm" + f"_{A[:36]}",
    "pypi": "pypi" + f"-AgEIcHlwaS5vcmc{A[:70]}",
    "rubygems": "rubygems" + f"_{HEX[:48]}",
    "docker hub": "dckr_pat" + f"_{A[:27]}",
    "atlassian": "ATATT3" + f"xFfGF0{A[:100]}",
    "aws access key": "AKIA" + UPPER[:16],
    "aws temporary key": "ASIA" + UPPER[:16],
    "google api key": "AIza" + A[:35],
    "google oauth": "ya29" + f".{A[:60]}",
    "google client secret": "GOCSPX" + f"-{A[:28]}",
    "digitalocean": "dop_v1" + f"_{HEX[:64]}",
    "heroku": "HRKU" + f"-{HEX[:8]}-{HEX[:4]}-{HEX[:4]}-{HEX[:4]}-{HEX[:12]}",
    "databricks": "dapi" + HEX[:32],
    "vault": "hvs" + f".{A[:90]}",
    "planetscale": "pscale_tkn" + f"_{A[:43]}",
    "doppler": "dp.pt" + f".{A[:43]}",
    "tailscale": "tskey" + f"-auth-{A[:12]}-{A[:30]}",
    "age": "AGE-SECRET-KEY" + f"-1{UPPER[:58]}",
    "anthropic": "sk-ant" + f"-api03-{A[:93]}",
    "openai project": "sk-proj" + f"-{A[:48]}",
    "openai": "sk" + f"-{A[:48]}",
    "hugging face": "hf" + f"_{LETTERS[:34]}",
    "groq": "gsk" + f"_{A[:52]}",
    "stripe live": "sk_live" + f"_{A[:24]}",
    "stripe restricted": "rk_live" + f"_{A[:24]}",
    "stripe webhook": "whsec" + f"_{A[:32]}",
    "shopify": "shpat" + f"_{HEX[:32]}",
    "square": "sq0csp" + f"-{A[:43]}",
    "slack bot": "xoxb" + f"-123456789012-1234567890123-{A[:24]}",
    "slack app": "xapp" + f"-1-A012345-1234567890-{HEX[:64]}",
    "sendgrid": "SG" + f".{A[:22]}.{A[:43]}",
    "mailgun": "key" + f"-{HEX[:32]}",
    "mailchimp": f"{HEX[:32]}" + "-us12",
    "brevo": "xkeysib" + f"-{HEX[:64]}-{A[:16]}",
    "linear": "lin_api" + f"_{A[:40]}",
    "figma": "figd" + f"_{A[:40]}",
    "grafana": "glsa" + f"_{A[:32]}_{HEX[:8]}",
    "new relic": "NRAK" + f"-{UPPER[:27]}",
    "postman": "PMAK" + f"-{HEX[:24]}-{HEX[:34]}",
    "telegram": "1234567890" + f":AA{A[:33]}",
    "azure client secret": "q7R8Q" + f"~{A[:34]}",
    "jwt": JWT,
    "bcrypt": "$2b$12" + f"${A[:53]}",
}
OURS = TOKENS["our own api key"]
PEM = f"-----BEGIN RSA {'PRIVATE'} KEY-----\n{A[:64]}\n{A[:64]}\n-----END RSA {'PRIVATE'} KEY-----"

SECRET = "Hunter2-planted-7731"
BASIC = base64.b64encode(f"user:{SECRET}".encode()).decode()
# By a name or a sign near it. The first is the text, the second what may not be seen of it.
NAMED: dict[str, tuple[str, str]] = {
    "pem": (f"loaded {PEM} from disk", A[:30]),
    "slack webhook": (f"https://hooks.slack.com/services/T0000/B0000/{A[:24]}", A[:24]),
    "discord webhook": (f"https://discord.com/api/webhooks/123456/{A[:60]}", A[:60]),
    "password in a url": (f"redis://user:{SECRET}@host:6379/0", SECRET),
    "token in a query": (f"https://host/a?access_token={SECRET}&b=1", SECRET),
    "signature in a query": (f"https://x.blob.core.windows.net/c?sv=2024&sig={SECRET}", SECRET),
    "path of a request": (f'10.0.0.1:5000 - "GET /a?b=1&api_key={SECRET} HTTP/1.1" 200', SECRET),
    "assignment": (f"connect host=db password={SECRET} user=me", SECRET),
    "assignment with spaces": (f"api_key = {SECRET}", SECRET),
    "assignment in quotes": (f'connect(password="{SECRET} and more", user="me")', SECRET),
    "repr of a model": (f"User(name='mary', password='{SECRET} {SECRET}')", SECRET),
    "dict": (f"{{'user': 'me', 'password': '{SECRET}', 'page': 1}}", SECRET),
    "dict of bytes": (f"{{b'password': b'{SECRET}'}}", SECRET),
    "json": (json.dumps({"api_token": f'a"{SECRET}', "b": 1}), SECRET),
    "json in json": (json.dumps({"body": json.dumps({"client_secret": SECRET})}), SECRET),
    "dict in a dict": (f"{{'credentials': {{'user': 'me', 'value': '{SECRET}'}}, 'b': 1}}", SECRET),
    "list in a dict": (f"{{'tokens': ['x', '{SECRET}'], 'b': 1}}", SECRET),
    "dict behind a colon": (f"cookies: {{'theme': 'dark', 'session': '{SECRET}'}}", SECRET),
    "list behind a colon": (f"tokens: [\"x\", '{SECRET}']", SECRET),
    "bytes behind a colon": (f"Set-Cookie: [(b'session', b'{SECRET}')]", SECRET),
    "dict behind a colon in json": (json.dumps({"message": "credentials: " + json.dumps({"a": SECRET})}), SECRET),
    "bearer": (f"Authorization: Bearer {SECRET}", SECRET),
    "bearer without a header": (f"sent with bearer {SECRET}", SECRET),
    "basic": (f"Authorization: Basic {BASIC}", BASIC),
    "basic without a header": (f"sent with basic {BASIC}", BASIC),
    "digest": (f'Authorization: Digest username="u", response="{SECRET}"', SECRET),
    "header of its own": (f"X-Api-Key: {SECRET}", SECRET),
    "header of letters": (f"X-Api-Key: {LETTERS}\nHost: a", LETTERS),
    "short header of letters": ("sent 'X-Auth-Token: qRkVxLm'", "qRkVxLm"),
    "cookie": (f"Cookie: theme=dark; sid={SECRET}", SECRET),
    "set-cookie": (f"Set-Cookie: sid={SECRET}; HttpOnly", SECRET),
    "list of headers": (f"[(b'host', b'x'), (b'authorization', b'{SECRET}')]", SECRET),
    "option": (f"mysql --user me --password {SECRET}", SECRET),
    "option in a list": (f"Command '['mysql', '--password', '{SECRET}']' failed", SECRET),
    "colon": (f"password: {SECRET}", SECRET),
    "azure storage": (f"AccountName=a;AccountKey={SECRET}==;EndpointSuffix=core", SECRET),
    "pydantic": (f"password\n  Input should be an integer [type=int, input_value='{SECRET}', input_type=str]", SECRET),
    "error of a response": (f"{{'type': 'int', 'loc': ('response', 'pin'), 'input': '{SECRET}', 'ctx': {{}}}}", SECRET),
    "error of a response as json": (json.dumps([{"loc": ["pin"], "msg": "bad", "input": SECRET}]), SECRET),
    "password with blanks in a url": (f"no way to redis://:my {SECRET}@host:6379/0", SECRET),
    "password with an ampersand": (f"login password=Tr0ub4dor&{SECRET} host=db", SECRET),
    "password with a comma": (f"login password=Tr0ub4dor,{SECRET} host=db", SECRET),
    "password with a hash": (f"login password=#Tr0ub4dor;{SECRET} host=db", SECRET),
    "our own api key in a header of ours": (f"X-API-Key: {OURS}", OURS),
    "our own api key in a url in a url": (f"GET /a?next=%2Fb%3Fc%3D{OURS}", OURS),
    "our own session in its cookie": (f"__Host-opa-session=opas_{A[:43]} is set", A[:43]),
    "our own api key behind a word": (f"got x{OURS}", OURS),
    "our own api key that is cut off": (f"got {OURS[:30]}… there", OURS[:30]),
    "odbc": (f"Server=db;PWD={{a}}}}{SECRET}}};Database=x", SECRET),
}

PLANTED: dict[str, tuple[str, str]] = {name: (f"got {token} there", token) for name, token in TOKENS.items()} | NAMED

INNOCENT = [
    "deployed 7b5c0f8e2d4a6913b8c7d6e5f4a3b2c1d0e9f8a7 to production",
    "request 0f6a2c1e-7d3b-4b7e-9d52-2f1f0c9a8b77 took 12 ms",
    "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    "the key is missing",
    "token count = 5",
    "max_tokens=4096, total_tokens=118",
    "tokens: 118",
    "password: must not be empty",
    "password: required",
    "Token: expected ',' but found '}'",
    "secret: see the page about secrets",
    "a key = b, keys: ['x']",
    "key=user:5 is not in the cache",
    "if password == other: return",
    "password != other and token >= other",
    "password=None, token=null, secret=''",
    "select password from users where token is null",
    "SELECT * FROM orders WHERE id = 7 AND author = 'mary'",
    "/data/opa/plugins/tokens/secret_santa.py:12",
    "C:\\Users\\mary\\secrets\\notes.txt",
    "https://host/~user:1/a?page=2&sort=name",
    "https://docs.example.com/tokens/how-to#keys",
    "redis://redis:6379/0",
    "mail mary@example.com, cc: tom@example.org",
    "2026-11-28T22:41:52.123456+00:00",
    "fe80::1ff:fe23:4567:890a and [::1]:8000",
    "Bearer of bad news",
    "Bearer authentication is required",
    "Basic knowledge of Python",
    "Basic JavaScript",
    "Authorization: is missing",
    "Cookie: none was sent",
    "X-Api-Key: missing",
    "X-Api-Key: should be sent with each request",
    "api_key: required",
    "cookies: {}, tokens: [], password: (empty), secret: [see 'secrets']",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
    "Task plugins.reports.daily_report[0f6a2c1e-7d3b-4b7e-9d52-2f1f0c9a8b77] succeeded in 0.0012s: None",
    "plugin 'tokens': 3 routes, 1 task",
    "missing fields: ['password', 'token']",
    "the risk-assessment of desk-and-task-management-tools-2026 is done",
    "sk-learn, hf_hub and npm_config_prefix are names of things",
    "eyJhbGciOiJIUzI1NiJ9 is only a part of one",
    "AKIA is how they begin",
    "pypi-server and key-value-store-of-the-team",
    "-----BEGIN CERTIFICATE----- MIIB -----END CERTIFICATE-----",
    "europa_internationalization and opa_plugin_manager",
    "it costs $5 or $2b in all",
    "Ünïcödé — naïve “quotes” 日本語 🎉",
    "token_count=12 token_type=bearer password_length=16",
    "monkey=1, keyword=x, author=mary, compass: north",
    "order 7: 3 items = 81.20 EUR",
    "the token is valid until 2026, and the password is required",
    "the password is 8-32 characters long",
    "<keyword>hunter22</keyword> <password></password>",
    "https://a-user-of-that-name@git.example.org/x.git",
]
