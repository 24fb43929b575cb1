"""The server of the live page, a small process of its own beside a long command.

    python -I live_server.py PAGE STATUS PORT

It answers on 127.0.0.1 alone: `/`, with any query, with the page, and `/status.json` with the
present content of the file STATUS. No part of a request ever becomes a path. It prints the port, or
why there is none, and ends when its standard input does, which is when the command ends, however
that dies.

This file imports nothing but the standard library, so that it starts at once and in no process with
JAX: the command that trains gives it none of its time.
"""

import asyncio
import base64
import contextlib
import hashlib
import os
import re
import stat
import sys
import threading
import time
from http import HTTPStatus
from pathlib import Path

HOST = "127.0.0.1"
NICENESS = 19
"""How much the server stands back behind whatever trains on the same processor: all that it can."""
MOST_BYTES = 8192
"""The longest request."""
MOST_CONNECTIONS = 128
REQUEST_SECONDS = 5.0
"""In this time a request has to be complete."""
LOOKED_AT_SECONDS = 3.0
"""A page that asked within these seconds is open, and still gets the last status."""
LINGER_SECONDS = 2.0
"""Seconds for which the last status is kept for it."""
METHODS = ("GET", "HEAD")


class LiveServer:
    """What is answered, and since when.

    Args:
      page: the file of the page.
      status: the file of the status.
    """

    def __init__(self, page: Path, status: Path) -> None:
        self.page, self.status = page.read_bytes(), status
        self.policy = _policy(self.page)
        self.hosts: set[str] = set()
        self.n_connections = 0
        self.last_asked = -LOOKED_AT_SECONDS
        self.ended = asyncio.Event()
        self.last_was_sent = asyncio.Event()

    def answer(self, request: bytes) -> bytes:
        """The whole answer to a request.

        Args:
          request: its first line and its headers.
        """
        method, code, content, kind = "GET", HTTPStatus.BAD_REQUEST, b"", "text/plain"
        try:
            first, *headers = request.decode("ascii").split("\r\n")
            method, target, version = first.split(" ")
            pairs = [header.split(":", 1) for header in headers if header]
            values = [(name.lower(), value.strip()) for name, value in pairs]
            if version not in ("HTTP/1.0", "HTTP/1.1"):
                raise ValueError
            hosts = [value for name, value in values if name == "host"]
            code, content, kind = self._response(method, target, hosts)
        except ValueError:  # no request of HTTP
            pass
        if code != HTTPStatus.OK:
            content = f"{code.value} {code.phrase}\n".encode()
        lines = [
            f"HTTP/1.1 {code.value} {code.phrase}",
            f"Content-Type: {kind}; charset=utf-8",
            f"Content-Length: {len(content)}",
            "Cache-Control: no-store",
            f"Content-Security-Policy: {self.policy}",
            "Cross-Origin-Resource-Policy: same-origin",
            "Referrer-Policy: no-referrer",
            "X-Content-Type-Options: nosniff",
            "Connection: close",
        ]
        if code == HTTPStatus.METHOD_NOT_ALLOWED:
            lines.append(f"Allow: {', '.join(METHODS)}")
        head = "\r\n".join([*lines, "", ""]).encode()
        return head if method == "HEAD" else head + content

    def _response(
        self, method: str, target: str, hosts: list[str]
    ) -> tuple[HTTPStatus, bytes, str]:
        """Status, content and kind of the answer to a request; a ValueError for a bad one."""
        if len(hosts) != 1:
            raise ValueError
        if hosts[0].lower() not in self.hosts:  # a name that was made to lead here
            return HTTPStatus.FORBIDDEN, b"", "text/plain"
        if method not in METHODS:
            return HTTPStatus.METHOD_NOT_ALLOWED, b"", "text/plain"
        if target.partition("?")[0] == "/":
            return HTTPStatus.OK, self.page, "text/html"
        if target != "/status.json":
            return HTTPStatus.NOT_FOUND, b"", "text/plain"
        content = self._status()
        if content is None:
            return HTTPStatus.SERVICE_UNAVAILABLE, b"", "text/plain"
        self.last_asked = time.monotonic()
        if self.ended.is_set() and method == "GET":
            self.last_was_sent.set()
        return HTTPStatus.OK, content, "application/json"

    def _status(self) -> bytes | None:
        """The content of the status file; None if it is none, such as a link to another file."""
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        try:
            if self.status.is_symlink():  # where the system cannot refuse to follow it
                return None
            with os.fdopen(os.open(self.status, flags), "rb") as file:
                return file.read() if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
        except OSError:
            return None

    async def serve(self, port: int) -> None:
        """Answer until standard input has ended.

        Args:
          port: where to listen; 0 for a free one.
        """
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(self), HOST, port)
        port = server.sockets[0].getsockname()[1]
        self.hosts = {f"{name}:{port}" for name in (HOST, "localhost")}
        if port == 80:  # which browsers leave out
            self.hosts |= {HOST, "localhost"}
        print(port, flush=True)

        def wait_for_end() -> None:
            with contextlib.suppress(OSError):
                sys.stdin.buffer.read()
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self.ended.set)

        threading.Thread(target=wait_for_end, daemon=True).start()
        await self.ended.wait()
        if time.monotonic() - self.last_asked < LOOKED_AT_SECONDS:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.last_was_sent.wait(), LINGER_SECONDS)
                await asyncio.sleep(0.05)  # until the last bytes are on their way
        server.close()


class Connection(asyncio.Protocol):
    """A connection, which has one request."""

    transport: asyncio.Transport

    def __init__(self, server: LiveServer) -> None:
        self.server, self.request = server, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the request."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.server.n_connections += 1
        loop = asyncio.get_running_loop()
        self.timer = loop.call_later(REQUEST_SECONDS, transport.abort)
        if self.server.n_connections > MOST_CONNECTIONS:
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Answer, once the headers are complete."""
        if self.transport.is_closing():
            return
        self.request += data
        head, end, _ = self.request.partition(b"\r\n\r\n")
        if end and len(head) <= MOST_BYTES:
            self.transport.write(self.server.answer(head))
            self.transport.close()
        elif len(self.request) > MOST_BYTES:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.timer.cancel()
        self.server.n_connections -= 1


def _policy(page: bytes) -> str:
    """The policy of the page: its own script and style and its own server, and nothing else."""
    sources = {}
    for name in ("script", "style"):
        parts = re.findall(rf"<{name}>(.*?)</{name}>".encode(), page, re.DOTALL)
        digests = (base64.b64encode(hashlib.sha256(part).digest()).decode() for part in parts)
        sources[name] = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    return (
        f"default-src 'none'; script-src {sources['script']}; style-src {sources['style']}; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def main(page: str, status: str, port: str) -> None:
    """Serve until standard input ends."""
    with contextlib.suppress(OSError, AttributeError):
        os.nice(NICENESS)
    try:
        asyncio.run(LiveServer(Path(page), Path(status)).serve(int(port)))
    except OSError as error:
        print(error.strerror or error, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
