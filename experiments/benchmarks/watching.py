"""What the live page costs a sweep while a browser, or 10,000 requests a minute, ask for it."""

import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

REQUESTS_A_MINUTE = 10_000
# `server` and `sender` are shares of the time of all processors.
COLUMNS = {
    "sweep": "sweep",
    "seconds": "seconds",
    "ratio": "ratio",
    "range": "ratios",
    "a minute": "a_minute",
    "ms each": "ms_a_request",
    "server": "share",
    "sender": "senders_share",
}


class Requests(threading.Thread):
    """Asks for the page's status, at a pace, until the server is gone.

    Args:
      address: the page.
      a_minute: the requests a minute.
    """

    def __init__(self, address: str, a_minute: int) -> None:
        super().__init__(daemon=True)
        self.port, self.pause, self.n = port_of(address), 60 / a_minute, 0
        self.seconds = self.own_seconds = 0.0

    def run(self) -> None:
        """Ask, and read what is answered."""
        began = time.perf_counter()
        while True:
            try:
                answer = ask(self.port)
            except OSError:
                return
            assert answer.startswith(b"HTTP/1.1 200 ")
            self.n += 1
            self.own_seconds = time.thread_time()
            self.seconds = time.perf_counter() - began
            time.sleep(max(0.0, self.n * self.pause - self.seconds))


def port_of(address: str) -> int:
    """The port of an address."""
    return int(address.rstrip("/").rpartition(":")[2])


def ask(port: int) -> bytes:
    """The answer to a request for the status, with as little work of our own as possible."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        request = f"GET /status.json HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
        connection.sendall(request.encode())
        while part := connection.recv(1 << 18):
            answer += part
    return answer


def sweep_seconds(folder: Path, epochs: int, a_minute: int | None) -> tuple[float, Requests | None]:
    """The seconds of `jaxnet sweep` in a process of its own, and the requests beside it."""
    command = [
        sys.executable, "-m", "jaxnet", "sweep", "--epochs", str(epochs), "--seeds", "2",
        "--vary", "learning_rate=0.05:2:16", "--folder", str(folder),
    ]  # fmt: skip
    command += [] if a_minute is None else ["--watch"]
    requests, out = None, ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            out += line
            address = re.search(r"http://127\.0\.0\.1:\d+/", line)
            if address and a_minute:
                requests = Requests(address[0], a_minute)
                requests.start()
    if process.returncode:
        raise SystemExit(f"jaxnet sweep ended with status {process.returncode}:\n{out}")
    seconds = re.search(r"epochs in all, in ([\d.]+) s", out)
    assert seconds is not None
    return float(seconds[1]), requests


def seconds_a_request(n: int) -> float:
    """The processor's seconds that the server takes for a request, where the system counts them."""
    from jaxnet.cli import live_page, live_status

    page = live_page.LivePage(live_status.Heading("jaxnet sweep", (), ()))
    with tempfile.TemporaryDirectory() as folder:
        port = port_of(page.begin(0, Path(folder)))
        assert page.server is not None
        times = Path(f"/proc/{page.server.pid}/stat")
        ticks = lambda: sum(map(int, times.read_text().rpartition(")")[2].split()[11:13]))
        before = ticks() if times.exists() else 0
        for _ in range(n):
            ask(port)
        used = (ticks() - before) / 100 if times.exists() else float("nan")
        page.end()
    return used / n


def run(rounds: int, smoke: bool) -> list[dict]:
    """The sweep alone, and watched, in turns whose order alternates."""
    epochs = 1 if smoke else 6
    pace = {"alone": None, "a page that is open": 60, "10,000 requests": REQUESTS_A_MINUTE}
    seconds: dict[str, list[float]] = {name: [] for name in pace}
    counts: dict[str, list[Requests]] = {name: [] for name in pace}
    for turn in range(-1, rounds):  # the first turn fills the cache of compiled programs
        for name in list(pace)[:: 1 if turn % 2 else -1]:
            with tempfile.TemporaryDirectory() as folder:
                taken, requests = sweep_seconds(Path(folder), epochs, pace[name])
            if turn >= 0:
                seconds[name].append(taken)
                counts[name] += [] if requests is None else [requests]
    each = seconds_a_request(200 if smoke else 10_000)
    rows = []
    for name in pace:
        ratios = [own / alone for own, alone in zip(seconds[name], seconds["alone"], strict=True)]
        n, asked, own = (
            sum(getattr(requests, k) for requests in counts[name])
            for k in ("n", "seconds", "own_seconds")
        )
        capacity = asked * (os.cpu_count() or 1)
        rows.append({
            "sweep": name,
            "seconds": statistics.median(seconds[name]),
            "ratio": statistics.median(ratios),
            "ratios": f"{min(ratios):.3f} to {max(ratios):.3f}",
            "requests": n,
            "a_minute": 60 * n / asked if n else 0,
            "ms_a_request": 1000 * each if n else 0,
            "share": n * each / capacity if n else 0,
            "senders_share": own / capacity if n else 0,
        })  # fmt: skip
    return rows
