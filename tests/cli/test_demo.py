"""`jaxnet demo`: pages are listed, written, and opened where a person sits at a terminal."""

import webbrowser

import jax
import pytest

import jaxnet as jn
from jaxnet.cli import main as cli
from jaxnet.cli import streams
from jaxnet.reporting import demo_pages


@pytest.fixture
def opened(monkeypatch, tmp_path):
    """The addresses that a browser was asked for; the working directory is an empty folder."""
    addresses = []
    monkeypatch.setattr(webbrowser, "open_new_tab", addresses.append)
    monkeypatch.chdir(tmp_path)
    return addresses


def test_demo_alone_lists_the_pages(opened, tmp_path, capsys):
    assert cli.main(["demo"]) == 0
    lines = capsys.readouterr().out.splitlines()
    listed = dict(line.split(maxsplit=1) for line in lines[:-1])
    assert listed == demo_pages.TITLES
    assert lines[-1] == "Open one: jaxnet demo neuron"
    assert opened == [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_page_is_written_and_opened_only_for_a_person(
    opened, tmp_path, capsys, monkeypatch, is_terminal
):
    monkeypatch.setattr(streams.Terminal, "is_terminal", is_terminal)
    assert cli.main(["demo", "backprop"]) == 0
    path = tmp_path / "jaxnet-backprop.html"
    assert path.read_text("utf-8") == demo_pages.demo_page("backprop")
    assert "".join(capsys.readouterr().out.split()) == str(path.resolve())
    assert opened == ([path.resolve().as_uri()] if is_terminal else [])
    assert cli.main(["demo", "neuron", "--output", "other.htm"]) == 0
    assert (tmp_path / "other.htm").read_text("utf-8") == demo_pages.demo_page("neuron")


def test_digits_are_read_by_the_network_of_a_run(opened, tmp_path):
    net = jn.Network((784, 3, 10), hidden=jn.activations.tanh)
    params = jn.init(net, jax.random.key(0))
    (tmp_path / "runs" / "newest").mkdir(parents=True)
    jn.save(tmp_path / "runs" / "newest" / "network.safetensors", net, params)
    for path in ("runs", "runs/newest", "runs/newest/network.safetensors"):
        assert cli.main(["demo", "digits", path, "--output", "own.html"]) == 0
        page = demo_pages.demo_page("digits", (net, params))
        assert (tmp_path / "own.html").read_text("utf-8") == page
        (tmp_path / "own.html").unlink()
    assert page != demo_pages.demo_page("digits")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["demo", "digits", "gone"], "the folder gone does not exist; train a network first"),
        (["demo", "digits", "."], "the folder . holds no network"),
        (["demo", "neuron", "gone"], "the demo digits alone takes a network, and not neuron"),
        (["demo", "neuro"], "there is no demo 'neuro'; did you mean neuron?"),
        (["demo", "--output", "page.html"], "--output needs the NAME of a page"),
        (["demo", "neuron", "--output", "page.txt"], "must be a file that ends with .html"),
    ],
)
def test_a_wrong_call_is_refused_and_writes_nothing(opened, tmp_path, capsys, args, message):
    assert cli.main(args) == 2
    assert message in capsys.readouterr().err
    assert opened == [] == list(tmp_path.iterdir())


def test_a_page_replaces_no_file_but_a_page(opened, tmp_path, capsys):
    path = tmp_path / "jaxnet-neuron.html"
    path.write_text(demo_pages.demo_page("backprop"), "utf-8")
    assert cli.main(["demo", "neuron"]) == 0
    assert path.read_text("utf-8") == demo_pages.demo_page("neuron")
    for content in ("", "<!doctype html>\n<p>mine</p>"):
        path.write_text(content)
        assert cli.main(["demo", "neuron"]) == 2
        assert "jaxnet-neuron.html exists, and is no page of jaxnet demo" in capsys.readouterr().err
        assert path.read_text() == content
