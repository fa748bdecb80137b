"""A form as a browser sends it back, if nobody changes anything in it."""

from __future__ import annotations

from html.parser import HTMLParser


class _Form(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[str, str]] = []
        self._area: str | None = None
        self._select: dict[str, str | None] | None = None
        self._options: list[tuple[str | None, bool]] = []
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name, value = given.get("name"), given.get("value") or ""
        if tag == "input" and name and given.get("type") == "checkbox":
            self.sent += [(name, "on")] if "checked" in given else []
        elif tag == "input" and name:
            self.sent.append((name, value.replace("\r", "").replace("\n", "")))
        elif tag == "textarea":
            self._area, self._text = name, ""
        elif tag == "select" and name:
            self._select, self._options = given, []
        elif tag == "option" and self._select is not None:
            self._options.append((given.get("value"), "selected" in given))
            self._text = ""

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area:
            text = self._text.replace("\r\n", "\n").removeprefix("\n")
            self.sent.append((self._area, text.replace("\n", "\r\n")))
        elif tag == "option" and self._options and self._options[-1][0] is None:
            self._options[-1] = " ".join(self._text.split()), self._options[-1][1]
        elif tag == "select" and self._select is not None:
            chosen = [value for value, is_chosen in self._options if is_chosen]
            first = [] if "multiple" in self._select else [value for value, _ in self._options[:1]]
            self.sent += [(str(self._select["name"]), value or "") for value in chosen or first]
            self._select = None


def sent_back(page: str) -> dict[str, list[str]]:
    """What a browser sends of the form on a page, by the names of its fields."""
    form = _Form()
    form.feed(page[page.index('enctype="multipart') :])
    found: dict[str, list[str]] = {}
    for name, value in form.sent:
        found.setdefault(name, []).append(value)
    found.pop("csrftoken", None)
    return found
