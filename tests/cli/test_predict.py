"""`jaxnet predict` with a network that gives its inputs back: its outputs are pixels."""

import csv
import io
import json
import re

import numpy as np
import pytest
from PIL import Image, ImageDraw
from rich.console import Console

import jaxnet as jn
from jaxnet.cli import answers, questions
from jaxnet.cli import main as cli
from jaxnet.core.types import Layer
from jaxnet.data.fitting import fitted
from jaxnet.io.picture_files import read_picture

LINEAR = jn.costs.Quadratic(jn.activations.linear)
IDENTITY = jn.Network((4, 4), cost=LINEAR)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    jn.save("identity.safetensors", IDENTITY, _affine(np.eye(4), np.zeros(4)))
    return tmp_path


def _affine(w, b):
    """The parameters of a network of one layer."""
    return (Layer(np.asarray(w, np.float32), np.asarray(b, np.float32)),)


def _predict(capsys, *args, network="identity.safetensors"):
    status = cli.main(["predict", network, *map(str, args)])
    return status, *capsys.readouterr()


def _outputs(out, name):
    """The numbers in the row of a table."""
    lines = [line.strip() for line in out.splitlines()]
    (row,) = (line for line in lines if line.startswith(f"{name} "))
    return [float(number) for number in row.removeprefix(f"{name} ").split()]


RGBA = np.array(
    [[[0, 0, 0, 255], [0, 0, 0, 0]], [[255, 255, 255, 128], [200, 100, 50, 51]]], np.uint8
)
GREY = RGBA[..., :3] @ [0.299, 0.587, 0.114] / 255
ALPHA = RGBA[..., 3] / 255
PALETTE = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), mode=None).convert("P")
PALETTE.putpalette([0, 0, 0, 255, 255, 255, 102, 102, 102])
DEEP = np.array([[0, 65535], [30000, 1234]], np.uint16)
WORD = np.array([[0, 255], [102, 51]], np.uint8)


def _rotated():
    """A picture that is to be shown turned by a quarter clockwise."""
    image = Image.fromarray(WORD)
    image.getexif()[0x0112] = 6
    return image


# A picture, how it is saved, and its grey values and opacities.
PICTURES = {
    "grey": (Image.fromarray(WORD), {}, WORD / 255, 1),
    "black and white": (Image.fromarray(WORD > 60), {}, WORD > 60, 1),
    "RGB": (Image.fromarray(RGBA[..., :3]), {}, GREY, 1),
    "RGB and alpha": (Image.fromarray(RGBA), {}, GREY, ALPHA),
    "grey and alpha": (Image.fromarray(np.stack([WORD, RGBA[..., 3]], -1)), {}, WORD / 255, ALPHA),
    "a transparent grey": (Image.fromarray(WORD), {"transparency": 102}, WORD / 255, WORD != 102),
    "palette": (PALETTE, {}, np.array([[0, 1], [0.4, 1]]), 1),
    "transparent palette": (
        PALETTE,
        {"transparency": bytes([255, 0, 51])},
        np.array([[0, 1], [0.4, 1]]),
        np.array([[1, 0], [0.2, 0]]),
    ),
    "16 bits": (Image.fromarray(DEEP), {}, DEEP / 65535, 1),
    "16 bits, a transparent grey": (
        Image.fromarray(DEEP),
        {"transparency": 30000},
        DEEP / 65535,
        DEEP != 30000,
    ),
    "turned": (_rotated(), {"exif": _rotated().getexif()}, np.rot90(WORD, -1) / 255, 1),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_shows_its_grey_values_on_black_or_inverted_on_white(here, capsys, kind):
    image, options, grey, alpha = PICTURES[kind]
    image.save(here / "image.png", **options)
    for args, expected in (
        ([], alpha * grey),
        (["--invert"], 1 - (alpha * grey + 1 - np.asarray(alpha, float))),
    ):
        status, out, err = _predict(capsys, "image.png", *args)
        assert (status, err) == (0, "")
        assert out.split()[0] == "Outputs"
        np.testing.assert_allclose(_outputs(out, "image.png"), np.ravel(expected), atol=2.5e-3)


def test_black_ink_on_transparent_ground_is_what_inverting_makes_white(here, capsys):
    ink = np.array([[255, 0], [0, 0]], np.uint8)
    black = np.zeros_like(ink)
    Image.fromarray(np.stack([black, black, black, ink], -1)).save(here / "ink.png")
    status, out, err = _predict(capsys, "ink.png", "--invert")
    assert (status, err, _outputs(out, "ink.png")) == (0, "", [1, 0, 0, 0])
    status, _, err = _predict(capsys, "ink.png")
    assert status == 0
    assert err == (
        "jaxnet: warning: ink.png shows nothing, since all its pixels are equal; use --invert for "
        "dark ink on a light or transparent background.\n"
    )


def test_a_jpeg_is_read(here, capsys):
    Image.fromarray(np.full((2, 2), 102, np.uint8) + np.eye(2, dtype=np.uint8)).save(
        here / "image.jpg", quality=100, subsampling=0
    )
    status, out, _ = _predict(capsys, "image.jpg")
    assert status == 0
    np.testing.assert_allclose(_outputs(out, "image.jpg"), 0.4, atol=0.02)


ROW = np.array([-1.5, 0.25, 3, 127])


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (WORD, [WORD / 255]),
        (WORD.reshape(4), [WORD / 255]),
        (WORD / 255, [WORD / 255]),
        ((WORD / 255).astype(">f2"), [WORD / 255]),
        (WORD > 60, [WORD > 60]),
        (np.eye(2, dtype=int), [np.eye(2)]),
        (np.stack([WORD, WORD.T]), [WORD / 255, WORD.T / 255]),
        (WORD.reshape(1, 4), [WORD / 255]),
        (ROW, [ROW]),
        (np.stack([ROW, -ROW]).astype(np.float32), [ROW, -ROW]),
        (np.array([[3, -2, 0, 1]]), [[3, -2, 0, 1]]),
    ],
)
def test_an_array_holds_an_image_or_rows_of_inputs(here, capsys, array, expected):
    np.save(here / "array.npy", array)
    status, out, err = _predict(capsys, "array.npy")
    assert (status, err) == (0, "")
    names = [f"array.npy row {row}" for row in range(len(expected))]
    for name, pixels in zip(names if len(names) > 1 else ["array.npy"], expected, strict=True):
        np.testing.assert_allclose(_outputs(out, name), np.ravel(pixels), atol=1e-3)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (WORD.astype(float), r"in \[0, 1\], but row 0, column 1 is 255; divide pixels by 255"),
        (WORD.astype(int), r"in \[0, 1\], but row 0, column 1 is 255; divide pixels by 255"),
        (np.array([[0, -0.5], [0, 0]]), r"floats in \[0, 1\], but row 0, column 1 is -0.5"),
        (np.array([[0, 0.5], [np.nan, 0]]), "row 1, column 0 of the inputs is nan"),
        (np.zeros((3, 2)), "has 2×3 pixels, but the network takes 2×2; resize it"),
        (np.zeros((1, 2, 3)), "has 3×2 pixels, but the network takes 2×2; resize it"),
        (np.zeros(3), "has 3 pixels, but the network takes 2×2; resize it"),
        (np.array(0.5), "has no pixels, but the network takes 2×2"),
        (np.zeros((0, 4)), r"holds no numbers, its shape is \(0, 4\)"),
        (np.full((2, 2), "a"), "the inputs are strings, such as 'a'"),
        (np.full((2, 2), 1j), "the inputs are complex128"),
        (np.array([[None]]), "it holds Python objects, which are never loaded"),
    ],
)
def test_an_array_of_no_image_is_refused(here, capsys, array, message):
    np.save(here / "array.npy", array, allow_pickle=True)
    status, out, err = _predict(capsys, "array.npy")
    assert (status, out) == (2, "")
    assert err.startswith("jaxnet: ")
    assert err.count("\n") == 1
    assert "array.npy" in err
    assert re.search(message, err)


def test_rows_of_unscaled_pixels_are_used_with_a_warning(here, capsys):
    np.save(here / "row.npy", WORD.reshape(4).astype(float))
    status, out, err = _predict(capsys, "row.npy")
    assert (status, _outputs(out, "row.npy")) == (0, [0, 255, 102, 51])
    assert "warning: row.npy reaches 255, and floats are used as they are; divide pixels" in err


def test_files_of_other_kinds_are_refused(here, capsys):
    with open("archive.npy", "wb") as file:
        np.savez(file, x=WORD)
    (here / "text.npy").write_text("not an array")
    (here / "text.png").write_text("not a picture")
    Image.fromarray(WORD).save(here / "picture.webp")
    frames = [Image.fromarray(WORD), Image.fromarray(WORD.T)]
    for name in ("moving.png", "moving.gif"):
        frames[0].save(here / name, save_all=True, append_images=frames[1:])
    Image.new("L", (5, 7)).save(here / "small.png")
    (here / "folder.png").mkdir()
    for name, message in {
        "archive.npy": "it is an archive of named arrays",
        "text.npy": "is not a readable .npy array",
        "text.png": "its format is none of PNG, JPEG, GIF, BMP and TIFF",
        "picture.webp": "its format is none of PNG, JPEG, GIF, BMP and TIFF",
        "moving.png": "it has several frames; save one of them",
        "moving.gif": "it has several frames; save one of them",
        "small.png": "has 5×7 pixels, but the network takes 2×2; resize it",
        "folder.png": "folder.png",
        "gone.png": "gone.png: No such file",
    }.items():
        status, out, err = _predict(capsys, name)
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert err.startswith("jaxnet: ")
        assert name in err
        assert re.search(message, err)


def test_images_that_are_not_square_have_as_many_pixels_as_there_are_inputs(here, capsys):
    params = _affine(np.eye(6), np.zeros(6))
    jn.save("wide.json", jn.Network((6, 6), cost=LINEAR), params)
    pixels = np.arange(0, 240, 40, dtype=np.uint8).reshape(2, 3)
    Image.fromarray(pixels).save(here / "wide.png")
    status, out, _ = _predict(capsys, "wide.png", network="wide.json")
    assert status == 0
    np.testing.assert_allclose(_outputs(out, "wide.png"), pixels.ravel() / 255, atol=1e-3)
    Image.fromarray(pixels[:, :2].copy()).save(here / "less.png")
    status, _, err = _predict(capsys, "less.png", network="wide.json")
    assert (status, "less.png has 2×2 pixels, but the network takes 6;" in err) == (2, True)


def test_a_regression_prints_numbers_and_targets(here, capsys):
    x = np.array([[0.5, -2.0], [0.25, 4.0]])
    np.savez(here / "data.npz", x_train=x, y_train=x[:, :1], x_test=x, y_test=x.sum(1))
    params = _affine([[1], [1]], [0.125])
    jn.save("sum.safetensors", jn.Network((2, 1), cost=LINEAR), params)
    status, out, err = _predict(
        capsys, "--data", "data.npz", "--test", "0", "1", network="sum.safetensors"
    )
    assert (status, err) == (0, "")
    assert "%" not in out
    assert "says" not in out
    assert "target" in out
    assert _outputs(out, "test 0") == [-1.5, -1.375]
    assert _outputs(out, "test 1") == [4.25, 4.375]


def test_the_single_output_of_a_classifier_is_that_of_class_1(here, capsys):
    net = jn.Network((2, 1))
    jn.save("one.safetensors", net, _affine([[1.0], [1.0]], [0.0]))
    np.save("rows.npy", np.array([[1.0, 0.0], [0.0, -2.0]]))
    status, out, err = _predict(capsys, "rows.npy", network="one.safetensors")
    assert (status, err) == (0, "")
    assert "Output of class 1, in %" in out
    assert re.search(r"image +says +1 *\n", out)
    assert [out.count(f"rows.npy row {row}") for row in (0, 1)] == [1, 1]
    assert re.search(r"row 0 +1 +73 *\n", out)  # sigmoid(1)
    assert re.search(r"row 1 +0 +12 *\n", out)
    assert "independent" not in out


def test_linear_outputs_are_classes_if_the_test_set_has_labels(here, capsys):
    x = np.eye(4)[[2, 1, 2, 1]]
    np.savez(here / "data.npz", x_train=x, y_train=[2, 1, 2, 1], x_test=x[:1], y_test=[1])
    status, out, _ = _predict(capsys, "--data", "data.npz", "--test", "0")
    assert status == 0
    assert "Output of each class\n" in out
    assert "%" not in out
    assert _outputs(out, "test 0") == [1, 2, 0, 0, 1, 0]  # label, says, outputs


def test_a_network_without_finite_outputs_is_refused(here, capsys):
    for number in (np.nan, np.inf):
        jn.save("broken.safetensors", IDENTITY, _affine(np.eye(4), [0, number, 0, 0]))
        Image.fromarray(WORD).save(here / "image.png")
        status, out, err = _predict(capsys, "image.png", network="broken.safetensors")
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert f"output 1 of the network for image.png is {number}: its weights" in err


SIDE = 12


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """A run whose network gives back its 144 pixels, and pictures of lines."""
    monkeypatch.chdir(tmp_path)
    net = jn.Network((SIDE**2, SIDE**2), cost=LINEAR)
    folder = tmp_path / "runs" / "first"
    folder.mkdir(parents=True)
    jn.save(folder / "network.safetensors", net, _affine(np.eye(SIDE**2), np.zeros(SIDE**2)))
    Image.new("L", (40, 40)).save(folder / "curves.png")
    (tmp_path / "photos").mkdir()
    for name, size in {"a.png": (60, 40), "b.JPG": (300, 700)}.items():
        image = Image.new("RGB", size, (240, 230, 200))
        ImageDraw.Draw(image).line(
            [(size[0] // 3, size[1] // 4), (size[0] // 2, size[1] * 3 // 4)], (30, 30, 90), 8
        )
        image.save(tmp_path / "photos" / name, format="JPEG" if name == "b.JPG" else None)
    return tmp_path


def _answers(path="answers.csv"):
    """The rows of a CSV file of answers: names, labels and outputs."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    outputs = [[float(cell) for name, cell in row.items() if "output" in name] for row in rows]
    return [row["image"] for row in rows], [row["label"] for row in rows], np.array(outputs)


def _run(capsys, *args):
    status = cli.main(["predict", *map(str, args)])
    return status, *capsys.readouterr()


def test_without_a_network_the_newest_run_answers_and_what_it_sees_is_drawn(pictures, capsys):
    status, out, err = _run(capsys, "photos/a.png", "--output", "answers.csv")
    assert (status, err) == (0, "")
    assert out.startswith("The newest run answers: runs/first/\n")
    drawing = out.partition("What the network sees of a.png:\n")[2]
    assert set("".join(drawing.splitlines()[:5])) & set("▒▓█")
    names, _, outputs = _answers()
    colours, _ = read_picture("photos/a.png")
    np.testing.assert_allclose(outputs[0], fitted(colours, SIDE).pixels.ravel(), atol=1e-6)
    assert names == ["a.png"]


def test_a_folder_and_a_list_of_pictures_are_answered_alike(pictures, capsys):
    (pictures / "photos" / ".hidden.png").write_text("no picture")
    (pictures / "photos" / "notes.txt").write_text("no picture")
    (pictures / "list.csv").write_text("file,label\nphotos/a.png,1\nphotos/b.JPG,7\n")
    answers = []
    for asked in (["photos"], ["runs", "list.csv"], ["runs/first", "photos/a.png", "photos/b.JPG"]):
        status, out, err = _run(capsys, *asked, "--output", "answers.csv")
        assert (status, err) == (0, "")
        assert "2 rows are written to answers.csv" in out
        answers.append(_answers())
    for names, _, outputs in answers:
        assert names == ["a.png", "b.JPG"]
        np.testing.assert_array_equal(outputs, answers[0][2])


@pytest.mark.parametrize("has_labels", [False, True])
@pytest.mark.parametrize("has_header", [False, True])
def test_rows_of_pixels_in_a_csv_are_images(pictures, capsys, has_header, has_labels):
    pixels = np.random.default_rng(0).integers(0, 256, (25, SIDE**2))
    header = ["label"] * has_labels + [f"pixel{k}" for k in range(SIDE**2)]
    rows = [[7] * has_labels + row for row in pixels.tolist()]
    with open("rows.csv", "w", newline="") as file:
        csv.writer(file).writerows([header] * has_header + rows)
    status, out, _ = _run(capsys, "rows.csv")
    assert status == 0
    assert "… and 15 rows more: --output FILE writes all." in out
    _run(capsys, "rows.csv", "--output", "answers.csv")
    _, labels, outputs = _answers()
    np.testing.assert_allclose(outputs, pixels / 255, atol=1e-6)
    assert labels == ["7" if has_labels else ""] * 25


def test_a_picture_of_the_networks_size_is_taken_as_it_is_unless_its_border_is_light(
    pictures, capsys
):
    grey = np.zeros((SIDE, SIDE), np.uint8)
    grey[1:5, 8:10] = 200  # off the middle
    Image.fromarray(grey).save("dark.png")
    Image.fromarray(255 - grey).save("light.png")
    seen = {}
    for args in (["dark.png"], ["light.png"], ["light.png", "--invert"]):
        assert _run(capsys, *args, "--output", "answers.csv")[0] == 0
        seen[tuple(args)] = _answers()[2].reshape(SIDE, SIDE)
    np.testing.assert_allclose(seen[("dark.png",)], grey / 255, atol=1e-6)
    np.testing.assert_allclose(seen[("light.png", "--invert")], grey / 255, atol=1e-6)
    assert (seen[("light.png",)].max(axis=1) > 0.3).all()  # found, and scaled to its box


def test_doubtful_pictures_get_a_warning_and_many_of_them_one(pictures, capsys):
    for index in range(7):
        Image.new("L", (40, 40), 200).save(f"photos/empty{index}.png")
    status, _, err = _run(capsys, "photos/empty0.png")
    assert status == 0
    assert err == "jaxnet: warning: empty0.png is doubtful: it shows nothing.\n"
    status, _, err = _run(capsys, "photos", "--output", "answers.csv")
    first = "the first, empty0.png is doubtful: it shows nothing."
    assert err == f"jaxnet: warning: 7 of 9 pictures are doubtful; {first}\n"


def test_classes_have_their_names_and_an_unsure_answer_is_doubtful(pictures, capsys):
    classes = ["zero", "one", "two"]
    net = jn.Network((SIDE**2, 3), cost=jn.costs.LogLikelihood())
    encoding = jn.datasets.arrays(np.eye(3), classes).encoding
    for bias, doubt in (([0, 5, 0], ""), ([0, 0.1, 0], "the largest output is only 36%")):
        params = _affine(np.zeros((SIDE**2, 3)), bias)
        jn.save("named.safetensors", net, params, encoding=encoding)
        status, out, err = _run(capsys, "named.safetensors", "photos/a.png", "--output", "a.csv")
        assert (status, doubt in err) == (0, True)
        assert bool(err) == bool(doubt)
        (row,) = csv.DictReader((pictures / "a.csv").read_text().splitlines())
        names = list(encoding.target.classes)
        assert row["says"] == names[1]
        assert row["doubts"] == doubt
        assert [name for name in row if "output" in name] == [f"output {name}" for name in names]
        assert re.search(rf"a.png +{names[1]} ", out)


@pytest.mark.parametrize("width", ["60", "80", "120"])
def test_numbers_are_whole_at_every_width(pictures, capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", width)
    net = jn.Network((SIDE**2, 10), cost=jn.costs.LogLikelihood())
    jn.save("net.json", net, _affine(np.zeros((SIDE**2, 10)), 9 * np.eye(10)[3]))
    (pictures / "photos" / "a.png").rename(pictures / "photos" / f"{'long' * 6}.png")
    _, out, _ = _run(capsys, "net.json", "photos")
    lines = [line.rstrip() for line in out.splitlines()]
    assert max(map(len, lines)) <= int(width)
    rows = [line for line in lines if line.strip().startswith("long")]
    assert all(re.search(r"\b100\b", row) for row in rows)
    assert len(rows) == 1
    assert "…" not in out


@pytest.mark.parametrize("width", range(30, 100))
def test_no_class_and_no_number_is_lost_at_any_width(width):
    """Ten outputs that all differ, or the largest of them, each whole, below its own class."""
    shares = np.array([0.05, 0.04, 0.03, 0.02, 0.01, 0.13, 0.06, 0.07, 0.08, 0.51])
    asked = [questions.Question(f"{'long' * 6}.png", np.zeros(4))]
    table = answers.outputs_table("Probability", asked, [shares], True, (), width)
    out = Console(width=width, file=io.StringIO(), color_system=None)
    out.print(table)
    lines = out.file.getvalue().splitlines()
    (row,) = (line for line in lines if line.strip().startswith("lon"))
    _, says, *cells = row.split()
    assert says == "9"
    if ":" in row:
        pairs = [pair.split(": ") for pair in re.findall(r"\d: \d+", row)]
        assert pairs[0] == ["9", "51"]
        assert " ".join(": ".join(pair) for pair in pairs) == " ".join(cells)
        order = np.argsort(-shares)[: len(pairs)]
        assert pairs == [[str(k), f"{100 * shares[k]:.0f}"] for k in order]
    else:
        assert cells == [f"{100 * share:.0f}" for share in shares]
        heading = next(line for line in lines if "image" in line)
        assert heading.split() == ["image", "says", *map(str, range(10))]


@pytest.mark.parametrize("width", [50, 60, 80, 300])
def test_probabilities_of_a_table_are_whole_or_those_of_the_two_likeliest(width):
    names = [f"p({'long' * 4}{k})" for k in range(6)]
    shares = [0.25, 1.07e-7, 0.0, 0.4, 0.3, 0.0499]
    rows = [{"horse": f"{'long' * 4}3", **dict(zip(names, shares))}]
    out = Console(width=width, file=io.StringIO(), color_system=None)
    out.print(answers.answers_table(rows, True, True, width))
    printed = out.file.getvalue()
    numbers = re.findall(r"\S+%", printed.splitlines()[-2])
    if width == 300:
        assert numbers == ["25.0%", "<0.1%", "0.0%", "40.0%", "30.0%", "5.0%"]
        assert "--output" not in printed
    else:
        assert numbers == ["40.0%", "30.0%"]
        assert "--output FILE" in " ".join(printed.split())


def test_numbers_of_a_usual_size_have_no_exponent():
    out = Console(width=60, file=io.StringIO(), color_system=None)
    out.print(answers.answers_table([{"price": 280641.21, "price sd": 0.01234}], False, False, 60))
    assert out.file.getvalue().split()[-2:] == ["280641.2", "0.01234"]


def test_rows_of_the_test_set_are_those_of_the_runs_own_data(here, capsys):
    folder = here / "runs" / "first"
    folder.mkdir(parents=True)
    jn.save(folder / "network.safetensors", IDENTITY, _affine(np.eye(4), np.zeros(4)))
    x = np.random.default_rng(0).random((3, 4)).astype(np.float32)
    np.savez(here / "own.npz", x_train=x, y_train=x, x_test=x, y_test=x)
    config = {"settings": {"data": str(here / "own.npz")}}
    (folder / "config.json").write_text(json.dumps(config))
    assert _run(capsys, "runs", "--test", "0", "2", "--output", "answers.csv")[0] == 0
    np.testing.assert_allclose(_answers()[2], x[[0, 2]], rtol=1e-6)
    status, _, err = _run(capsys, "runs", "--test", "0", "--data", "xor")
    assert (status, "xor has 2 inputs, but the network takes 4" in err) == (2, True)


@pytest.mark.parametrize(
    "network", ["runs", "runs/first", "runs/first/network.safetensors", "other.safetensors"]
)
@pytest.mark.parametrize("first", [[], ["runs/first"]])
def test_a_network_after_the_files_is_refused(pictures, capsys, first, network):
    status, out, err = _run(capsys, *first, "photos/a.png", network)
    assert (status, out) == (2, "")
    assert err == (
        f"jaxnet: {network} holds a network, which stands before the files that it answers, and "
        "alone: jaxnet predict NETWORK FILE.\n"
    )


def test_a_file_after_the_options_is_told_its_place(capsys):
    status, _, err = _run(capsys, *"D --test 0 1 --data digits seven.jpg".split())
    assert status == 2
    assert "Files stand before the options: jaxnet predict NETWORK seven.jpg --test 0 1." in err
    assert err.count("\n") == 1


def test_a_picture_for_a_network_of_a_table_is_refused(pictures, capsys):
    table = jn.datasets.table({"age": [1.0, 2.0, 3.0] * 8, "ill": ["a", "b"] * 12}, target="ill")
    net = jn.Network((table.n_inputs, table.n_outputs))
    params = _affine(np.zeros((1, table.n_outputs)), np.zeros(table.n_outputs))
    jn.save("ill.safetensors", net, params, encoding=table.encoding)
    status, out, err = _run(capsys, "ill.safetensors", "photos/a.png")
    assert (status, out) == (2, "")
    assert err == (
        "jaxnet: ill.safetensors reads the columns of a table, and photos/a.png is none; name a "
        ".csv, .tsv or .parquet file.\n"
    )
