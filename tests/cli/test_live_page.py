"""The live page of `--watch`: what its server answers, what it refuses, and how it ends."""

import http.client
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import live
import numpy as np
import pytest
from rich.console import Console

import jaxnet as jn
from jaxnet.cli import live_page, live_server, live_status
from jaxnet.cli import main as cli
from jaxnet.cli.options import FailedError
from jaxnet.training import devices
from tests.support.command_line import with_options

SWEEP = "sweep --data xor --hidden-sizes 3 --epochs 2 --seeds 2 --vary learning_rate=0.1,1".split()


@pytest.fixture
def page(tmp_path):
    """A live page with its server, and the number of its port."""
    page = live_page.LivePage(live.HEADING)
    address = page.begin(0, tmp_path)
    yield page, int(address.rpartition(":")[2].strip("/"))
    if page.server is not None:
        page.server.kill()  # it would wait for the page that a test has asked for
    page.end()


def get(port: int, target: str, method: str = "GET", **headers: str) -> tuple[int, dict, bytes]:
    """Status, headers and content of an answer, to a target that is sent as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.putrequest(method, target, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def send(port: int, request: bytes) -> bytes:
    """All that is answered to any bytes; nothing where the connection is broken off."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        parts = []
        try:
            while part := connection.recv(65536):
                parts.append(part)
        except ConnectionError:
            pass
        return b"".join(parts)


def test_the_page_and_the_status_are_answered_with_headers_that_protect_them(page):
    live_page_, port = page
    code, headers, content = get(port, "/")
    assert (code, content) == (200, live_page.PAGE.read_bytes())
    assert get(port, "/?x=1")[0] == 200
    assert headers["Cache-Control"] == "no-store"
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    code, headers, content = get(port, "/status.json")
    assert (code, headers["Content-Type"]) == (200, "application/json; charset=utf-8")
    assert json.loads(content) == live_page_.last
    code, headers, content = get(port, "/status.json", "HEAD", Host=f"localhost:{port}")
    assert (code, content) == (200, b"")
    assert int(headers["Content-Length"]) == len(json.dumps(live_page_.last))


TRAVERSAL = (
    "/../../etc/passwd", "/..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd",
    "/etc/passwd", "etc/passwd", "file:///etc/passwd", "http://127.0.0.1/status.json", "/..",
    "/status.json/..", "/status.json/", "/status.json?x=1", "/./status.json", "/STATUS.JSON",
    "/secret.txt", "/.watch.json", "/.watch.json.new", "/index.html", "/favicon.ico",
    "/\\..\\secret.txt", "/status.json%00.html", "*",
)  # fmt: skip


def test_no_other_path_is_answered_and_no_file_is_reached(page, tmp_path):
    (tmp_path / "secret.txt").write_text("SECRET")
    for target in TRAVERSAL:
        code, _, content = get(page[1], target, Host=f"127.0.0.1:{page[1]}")
        assert (code, content) == (404, b"404 Not Found\n"), target


def test_no_other_method_is_answered(page):
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "CONNECT", "get"):
        code, headers, _ = get(page[1], "/status.json", method)
        assert (code, headers["Allow"]) == (405, "GET, HEAD"), method


def test_a_name_that_was_made_to_lead_here_is_refused(page):
    port = page[1]
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1:{port + 1}", ""):
        assert get(port, "/status.json", Host=host)[0] == 403, host
    twice = f"Host: 127.0.0.1:{port}\r\nHost: evil.example"
    for headers in ("X: y", twice):
        answer = send(port, f"GET / HTTP/1.1\r\n{headers}\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 400 "), headers


NO_REQUESTS = (
    b"\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    b"GET / x HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
    b"\xff\xfe / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00",
    b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 5000 + b"\r\n",
)  # fmt: skip


def test_what_is_no_request_of_http_is_refused_and_the_next_one_answered(page):
    for request in NO_REQUESTS:
        answer = send(page[1], request)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 400 Bad Request\r\n"), request[:40]
        assert get(page[1], "/")[0] == 200


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
def test_a_link_in_place_of_the_status_is_not_followed(page, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("SECRET")
    page[0].path.with_name(".watch.json.new").symlink_to(secret)
    page[0].path.unlink()
    page[0].path.symlink_to(secret)
    assert get(page[1], "/status.json")[::2] == (503, b"503 Service Unavailable\n")
    page[0].report(live.report_after(3))  # which replaces the link, and not what it leads to
    assert json.loads(get(page[1], "/status.json")[2])["state"] == "training"
    assert secret.read_text() == "SECRET"
    page[0].path.unlink()
    os.mkfifo(page[0].path)
    assert get(page[1], "/status.json")[0] == 503


def test_it_listens_on_this_machine_alone(page):
    hexadecimal = f"{page[1]:04X}"
    table = Path("/proc/net/tcp")
    if not table.exists():
        pytest.skip("no table of sockets")
    listening = [line.split()[1] for line in table.read_text().splitlines()[1:]
                 if line.split()[3] == "0A"]  # fmt: skip
    own = [address for address in listening if address.endswith(f":{hexadecimal}")]
    assert own == [f"0100007F:{hexadecimal}"]


def test_the_server_ends_with_its_command_and_leaves_nothing(page, tmp_path):
    """A killed command closes the pipe, too."""
    server, port = page[0].server, page[1]
    page[0].end()
    assert server.returncode == 0
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConnectionError):
        get(port, "/")
    page[0].report(live.report_after(1))  # without a server nothing is written
    page[0].finish([])
    assert list(tmp_path.iterdir()) == []


def test_a_page_that_is_open_still_gets_the_end(page):
    assert json.loads(get(page[1], "/status.json")[2])["is_over"] is False
    page[0].finish(["Choose recipe 3."])
    page[0].server.stdin.close()
    status = json.loads(get(page[1], "/status.json")[2])
    assert (status["is_over"], status["state"]) == (True, "finished")
    assert status["result"] == ["Choose recipe 3."]
    assert page[0].server.wait(5) == 0


def test_the_status_is_written_once_a_second_and_seldom_if_it_takes_long(page, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(live_page.time, "perf_counter", lambda: now[0])
    written = []

    def write(status):
        written.append(now[0])
        now[0] += 0.05

    monkeypatch.setattr(page[0], "_write", write)
    for _ in range(40):
        now[0] += 0.5
        page[0].report(live.report_after(1))
    gaps = np.diff(written)
    assert all(gaps >= 0.05 / live_page.MOST_OF_TIME)
    assert len(written) == 4  # in 20 s


def test_a_server_that_dies_costs_one_warning(page, tmp_path):
    page[0].server.kill()
    page[0].server.wait()
    with pytest.warns(UserWarning, match="no live page any more: its server has ended"):
        page[0].report(live.report_after(1))
    page[0].report(live.report_after(2))  # a second warning would be an error
    page[0].finish([])
    assert list(tmp_path.iterdir()) == []


def test_the_program_of_the_server_needs_the_standard_library_alone():
    script = "import runpy, sys; runpy.run_path(sys.argv[1]); print(*sys.modules)"
    command = [sys.executable, "-I", "-S", "-c", script, live_server.__file__]
    modules = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert not {module.partition(".")[0] for module in modules} & {"jax", "jaxnet", "numpy"}


# --- The status ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def swept():
    """The last report of a sweep, and its study."""
    reports = []
    recipe = jn.grid(jn.Recipe(jn.sgd()), learning_rate=[0.1, 1.0, 5.0], l2=[0.0, 1.0])
    study = jn.sweep(
        jn.Network((2, 4, 2)), jn.datasets.xor(n=40), recipe, seeds=3, epochs=4, log=None,
        on_progress=reports.append,
    )  # fmt: skip
    return reports[-1], study


def test_leaderboard_and_curves_are_those_of_the_study(swept):
    report, study = swept
    status = live_status.of_report(live.HEADING, report)
    accuracy = np.asarray(study.history.evaluation_accuracy)
    scores = accuracy.max(axis=-1)
    order = np.argsort(-scores.mean(axis=1, dtype=float), kind="stable")
    assert [column["text"] for column in status["columns"]] == [
        "learning rate", "l2", "mean ± SD", "networks", "epochs",
    ]  # fmt: skip
    for k, row, curve in zip(order, status["rows"], status["curves"]):
        mean, sd = scores[k].mean(), scores[k].std(ddof=1)
        setting = study.settings[k]
        numbers = [f"{setting.number(name):.4g}" for name in ("learning_rate", "l2")]
        assert row == [*numbers, f"{mean:.2%} ± {sd:.2%}", "3", "4"]
        assert curve["epochs"] == [1, 2, 3, 4]
        np.testing.assert_allclose(curve["values"], accuracy[k].mean(axis=0), rtol=1e-3)
    assert status["best"] == f"{accuracy.max():.2%}"
    assert (status["trained"], status["total"], status["state"]) == (72, 72, "trained")
    json.dumps(status, allow_nan=False)


def test_settings_of_a_comparison_are_told_apart_by_what_differs(swept):
    """Without names: optimizer and learning rate, and what else differs."""
    report, _ = swept
    heading = live.HEADING._replace(names=())
    status = live_status.of_report(heading, report, "Tuning")
    assert status["stage"] == "Tuning"
    names = [column["text"] for column in status["columns"]]
    assert names[:3] == ["optimizer", "learning rate", "l2"]
    assert {row[0] for row in status["rows"]} == {"sgd"}


def test_a_status_before_the_first_epoch_and_of_half_a_sweep():
    before = live_status.of_report(live.HEADING, live.report_after(0))
    assert (before["state"], before["rows"], before["best"]) == ("compiling", [], "")
    assert ["time left", "36 s"] in before["facts"]
    report = live.report_after(150, n_epochs=300)
    values = report.curves.values
    values[3] = np.nan  # all its networks diverged
    values[4, 1:] = np.nan  # three of its networks have not begun
    half = live_status.of_report(live.HEADING, report)
    assert len(half["rows"]) == live_status.ROWS
    assert len(half["curves"]) == live_status.CURVES
    assert all(len(curve["values"]) == live_status.POINTS for curve in half["curves"])
    assert half["curves"][0]["epochs"][0] == 1
    assert half["curves"][0]["epochs"][-1] == 150
    assert {row[-1] for row in half["rows"]} == {"150"}
    assert all(row[-2] == "4" for row in half["rows"])  # those of fewer networks come last
    json.dumps(half, allow_nan=False)


def test_costs_rank_from_the_lowest():
    report = live.report_after(5, best=-0.9)
    report.curves.name = "evaluation_data_cost"
    status = live_status.of_report(live.HEADING, report)
    assert status["best"] == "0.9"
    lowest = int(np.nanmin(report.curves.values, axis=-1).mean(axis=1).argmin())
    assert status["rows"][0][0] == f"{0.1 * (lowest + 1):.4g}"
    assert status["score"] == "validation cost"
    assert not status["is_share"]


def test_costs_as_large_as_float32_has_them_are_numbers_still():
    report = live.report_after(5)
    report.curves.name = "evaluation_data_cost"
    random = np.random.default_rng(1)
    values = report.curves.values
    values[..., :5] = (3e38 * random.random(values[..., :5].shape)).astype(np.float32)
    values[0, 0, 2] = np.inf
    status = live_status.of_report(live.HEADING, report)  # a warning would be an error
    json.dumps(status, allow_nan=False)
    best = np.nanmin(values, axis=-1).astype(float)
    k = int(best.mean(axis=1).argmin())
    mean, sd = best[k].mean(), best[k].std(ddof=1)
    assert status["rows"][0][2] == f"{mean:.4g} ± {sd:.4g}"
    expected = values[k, :, :5].astype(float).mean(axis=0)
    np.testing.assert_allclose(status["curves"][0]["values"], expected, rtol=1e-3)


def test_at_the_end_the_result_alone_says_how_many_epochs_were_trained():
    """Until then those of a network that has diverged are counted, too."""
    status = live_status.of_report(live.HEADING, live.report_after(30))
    names = lambda state: {name for name, _ in live_status.at_the_end(status, state, [])["facts"]}
    assert "epochs" in names("interrupted")
    assert "epochs" not in names("finished")


# --- On the command line -----------------------------------------------------------------------


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(devices, "use_all_cores", lambda: 1)  # JAX has begun in this process
    return tmp_path


def test_a_sweep_is_watched_from_its_plan_to_its_choice(here, capsys, monkeypatch):
    statuses = []
    write = live_page.LivePage._write

    def write_and_read(page, status):
        write(page, status)
        statuses.append(json.loads(page.path.read_text()))

    monkeypatch.setattr(live_page.LivePage, "_write", write_and_read)
    assert cli.main([*SWEEP, "--watch", "--folder", "study"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    address = re.search(r"browser of this machine: (http://127\.0\.0\.1:\d+/)\n", captured.out)
    assert address
    assert statuses[0]["state"] == "preparing"
    last = statuses[-1]
    assert (last["state"], last["is_over"]) == ("finished", True)
    assert last["trained"] == last["total"] == 8
    assert {row[-1] for row in last["rows"]} == {"2"}
    assert last["result"][0] in captured.out
    assert last["result"][0].startswith("Choose recipe")
    assert not list((here / "study").glob(".watch*"))


def test_a_port_that_is_taken_costs_a_warning(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        watched = live_page.watched((port,), tmp_path, live.HEADING, Console(quiet=True))
        with pytest.warns(UserWarning, match="there is no live page: .*in use"), watched as page:
            page.report(live.report_after(1))
    assert page.server is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ports", ["0", "65536", "-1", "8000 8001", "x"])
@pytest.mark.parametrize("command", ["sweep", "compare"])
def test_what_is_no_port_is_refused_before_data_are_read(here, capsys, command, ports):
    assert cli.main([command, "--data", "gone.csv", "--watch", *ports.split()]) == 2
    message = capsys.readouterr().err
    assert re.fullmatch(r"jaxnet: [^\n]*--watch [^\n]*\n", message), message
    assert list(here.iterdir()) == []


def test_the_end_by_an_error_is_shown_and_the_error_goes_on(tmp_path, monkeypatch):
    ends = []
    monkeypatch.setattr(live_page.LivePage, "finish", lambda *args: ends.append(args))
    for error in (ValueError("by zero"), FailedError("stopped", 130), KeyboardInterrupt()):
        watched = live_page.watched((), tmp_path, live.HEADING, Console(quiet=True))
        with pytest.raises(type(error)), watched:
            raise error
    assert [end[1:] for end in ends] == [
        (["by zero"], "failed"), (["stopped"], "interrupted"), (["KeyboardInterrupt"], "failed"),
    ]  # fmt: skip
    assert all(page.server is None for page, *_ in ends)
    assert list(tmp_path.iterdir()) == []


def test_a_status_that_cannot_be_made_costs_one_warning(page, monkeypatch):
    monkeypatch.setattr(live_status, "of_report", lambda *_: 1 / 0)
    with pytest.warns(UserWarning, match="no live page any more: division by zero"):
        page[0].report(live.report_after(1))
    page[0].report(live.report_after(1))  # a second warning would be an error


def test_plot_only_has_nothing_to_watch(here, capsys):
    command = "compare --plot-only --watch --name x".split()
    assert cli.main(with_options(command)) == 2
    assert "--plot-only trains nothing to --watch" in capsys.readouterr().err
