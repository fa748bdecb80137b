"""Targets of messages: an HTTP and an SMTP server on the loopback, which can misbehave."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import threading
from pathlib import Path
from typing import Any, Self

from tests.loopback import Handler, LoopbackServer


class Webhook(LoopbackServer):
    """A server that keeps what is posted to it.

    Attributes:
        posted: what arrived, parsed.
        status: what it answers; `hang` and `drip` never come to an end.
    """

    def __init__(self) -> None:
        self.posted: list[Any] = []
        self.paths: list[str] = []
        self.status: int | str = 200
        self._released = threading.Event()
        outer = self

        class Answers(Handler):
            def do_POST(self) -> None:
                outer.posted.append(json.loads(self.body()))
                outer.paths.append(self.path)
                outer.answer(self)

            def do_GET(self) -> None:
                outer.paths.append(f"GET {self.path}")
                outer.answer(self)

        super().__init__(Answers)
        self.url = f"{self.address}/hooks/T0/B0"

    def answer(self, handler: Handler) -> None:
        if self.status == "hang":
            self._released.wait(60)
            return
        if self.status == "drip":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not self._released.wait(0.2):
                handler.wfile.write(b"X-More: 1\r\n")
            return
        if self.status == "huge":
            handler.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 5_000_000)
            return
        is_redirect = 300 <= int(self.status) < 400
        handler.answer(int(self.status), b"", **({"Location": f"{self.address}/elsewhere"} if is_redirect else {}))

    def __exit__(self, *_: object) -> None:
        self._released.set()
        super().__exit__()


class Mailbox:
    """A small SMTP server with AUTH PLAIN and LOGIN, STARTTLS and TLS.

    Attributes:
        mails: what arrived: recipients, and the text.
        status: what it answers to what is sent.
    """

    def __init__(self, certificate: Path | None = None, *, is_tls: bool = False, hangs: bool = False) -> None:
        self.mails: list[tuple[list[str], str]] = []
        self.logins: list[str] = []
        self.status = "250 OK"
        self._hangs = hangs
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate)
        self._is_tls = is_tls
        self._loop = asyncio.new_event_loop()
        self.port = 0

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context if self._is_tls else None), self._loop
        ).result()
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0.05)  # in which transports that are closed let go of their sockets

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(*lines: str) -> None:
            writer.write("".join(f"{line}\r\n" for line in lines).encode())

        if self._hangs:
            await asyncio.sleep(60)
        is_secure, recipients = self._is_tls, []
        say("220 mailbox")
        while line := (await reader.readline()).decode().strip():
            verb, _, rest = line.partition(" ")
            match verb.upper():
                case "EHLO":
                    offers = [*(["STARTTLS"] if self._context and not is_secure else []), "AUTH PLAIN"]
                    say("250-mailbox", *(f"250-{each}" for each in offers[:-1]), f"250 {offers[-1]}")
                case "STARTTLS":
                    say("220 go")
                    await writer.drain()
                    assert self._context is not None
                    await writer.start_tls(self._context)
                    is_secure = True
                case "AUTH":
                    self.logins.append(base64.b64decode(rest.split()[1]).decode().replace("\0", " ").strip())
                    say("235 known")
                case "RCPT":
                    recipients.append(rest)
                    say(self.status)
                case "DATA":
                    say("354 go on")
                    text = await reader.readuntil(b"\r\n.\r\n")
                    self.mails.append((recipients, text.decode()))
                    recipients = []
                    say("250 OK")
                case "QUIT":
                    say("221 bye")
                    return
                case _:
                    say("250 OK")
