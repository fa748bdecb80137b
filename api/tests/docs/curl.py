"""As much of curl as the pages use."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import httpx2

ADDRESS = re.compile(r"(http://)?(localhost|127\.0\.0\.1)(:\d+)?(?=/)")


@dataclass
class Call:
    """A request, as the words after `curl` describe it."""

    path: str = ""
    method: str = "GET"
    content: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    prints_headers: bool = False

    @classmethod
    def parse(cls, words: list[str]) -> Call:
        """Read a command line.

        Raises:
            AssertionError: it has an option, or an address, that is not known here.
        """
        call, method = cls(), ""
        arguments = iter(words)
        for word in arguments:
            match word:
                case "-X":
                    method = next(arguments)
                case "-d":
                    call._post(next(arguments), "application/x-www-form-urlencoded")
                case "--json":
                    call._post(next(arguments), "application/json")
                case "-H":
                    name, _, value = next(arguments).partition(":")
                    call.headers[name.lower()] = value.strip()
                case "-i":
                    call.prints_headers = True
                case "-s":
                    pass
                case _:
                    assert not word.startswith("-"), f"curl {word} is not known here"
                    call.path, known = ADDRESS.subn("", word, count=1)
                    assert known, f"curl asks {word}, which is not this machine"
        call.method = method or call.method
        return call

    def _post(self, content: str, content_type: str) -> None:
        self.method, self.content = "POST", content
        self.headers.setdefault("content-type", content_type)

    def send(self, client: httpx2.Client) -> str:
        """What curl prints."""
        answer = client.request(self.method, self.path, content=self.content, headers=self.headers)
        if not self.prints_headers:
            return answer.text
        status = f"{answer.http_version} {answer.status_code} {answer.reason_phrase}"
        headers = "".join(f"{name}: {value}\n" for name, value in answer.headers.items())
        return f"{status}\n{headers}\n{answer.text}"
