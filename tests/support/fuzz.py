"""Damage files of every kind that jaxnet reads, and count what their readers do.

    python tests/support/fuzz.py --n 10000 --seed 0

A reader may return, or raise a ValueError that names the file. Everything else is a failure:
another exception, a warning, more than `SECONDS`, more than `MEMORY` bytes, a message of several
lines, and from a sealed file another result than it was sealed with. The exit status is 1 if there
was one.

`READERS` is the registry: for each kind of file a function that writes a valid one into a folder.
"""

import argparse
import gzip
import io
import json
import resource
import shutil
import signal
import struct
import sys
import tempfile
import tracemalloc
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import data_files
import jax
import numpy as np
from matplotlib.figure import Figure
from rich.console import Console

import jaxnet as jn
from jaxnet.cli import predict
from jaxnet.cli.saved_options import resumed_options, resumed_sweep
from jaxnet.cli.sweep import OPTIONS_FILE, Sweep, write_options
from jaxnet.comparison import comparison_folder
from jaxnet.data import file_sets
from jaxnet.data.resampling import Fold
from jaxnet.io import csv, idx_files, parquet, table_files
from jaxnet.reporting import experiment, experiment_index, page_pictures, pictures
from jaxnet.sweeps import call_file, store
from jaxnet.sweeps.ensemble import Member
from jaxnet.sweeps.folds import LaneFold
from jaxnet.training import checkpoints
from jaxnet.training.measured import Measured

SECONDS = 5
MEMORY = 2**29
OLD = Path(__file__).parents[1] / "data" / "version_0_2_0"
NET = jn.Network((4, 3, 2), (jn.activations.LeakyRelu(0.2),))
FAILURES = ("other exception", "hang", "memory", "changed", "message")
OUTCOMES = ("read", "ValueError", *FAILURES)


class Reader(NamedTuple):
    """A valid file, and how jaxnet reads it."""

    path: Path
    read: Callable[[], object]
    is_sealed: bool = False
    """Whether no change of a number may be read. In JSON, whose seal can be deleted, one change."""


class Hang(BaseException):
    """A reader took too long."""


# ------------------------------------------------------------------------------ the readers


def _network(suffix: str) -> Callable[[Path], Reader]:
    def build(folder: Path) -> Reader:
        path = folder / f"net{suffix}"
        jn.save(path, NET, jn.init(NET, jax.random.key(0)))
        return Reader(path, lambda: jn.load(path), True)

    return build


def _old_network(name: str) -> Callable[[Path], Reader]:
    def build(folder: Path) -> Reader:
        path = Path(shutil.copy(OLD / name, folder))
        return Reader(path, lambda: jn.load(path), path.suffix == ".safetensors")

    return build


def _checkpoint(folder: Path) -> Reader:
    tree = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "steps": np.int32(7)}
    settings = {"seed": 3, "recipe.l2": 0.1, "evaluate_on": ["training"], "name": "λ"}
    checkpoints.save(folder, tree, settings)
    like = dict.fromkeys(tree)
    path = folder / checkpoints.FILE
    return Reader(path, lambda: checkpoints.load(folder, like, settings, {}), True)


def _old_checkpoint(folder: Path) -> Reader:
    shutil.copytree(OLD / "run", folder, dirs_exist_ok=True)
    return Reader(folder / checkpoints.FILE, lambda: checkpoints.read(folder))


SETTING = store.Setting(
    jn.Network((2, 4, 2)), jn.Recipe(jn.momentum(0.5, decay=0.5), l2=0.1), 10, 40
)


def _read_chunks(study: store.Folder) -> list[object]:
    study.last_read = None
    contents = []
    for record in study.records({}):
        like = store.state_like(record.program_sizes, SETTING)
        contents.append((record._replace(file=None)._asdict(), study.states(record, like)))
    return contents


def _old_study(folder: Path) -> store.Folder:
    shutil.copytree(OLD / "study", folder, dirs_exist_ok=True)
    return store.Folder(folder, json.loads((folder / "study.json").read_bytes()))


def _old_chunk(folder: Path) -> Reader:
    study = _old_study(folder)
    (path,) = (folder / "chunks").iterdir()
    return Reader(path, lambda: _read_chunks(study))


def _chunk(folder: Path) -> Reader:
    old = _old_study(folder / "old")
    ((record, states),) = _read_chunks(old)
    study = store.Folder(folder / "new", old.description | {"format": store.FORMAT})
    study.write(store.Record(**record | {"states": states}))
    (path,) = (folder / "new" / "chunks").iterdir()
    return Reader(path, lambda: _read_chunks(study), True)


def _call(folder: Path) -> Reader:
    folds = [[LaneFold("ab12", Fold(np.arange(3), np.arange(3, 5)), np.ones(2), np.ones(2))]]
    choices = Measured(("test",), (("auc", jn.metrics.roc_auc),), jn.Monitors(every=2))
    call = call_file.SweepCall((SETTING,), (0,), 5, choices, "shuffled", folds, False)
    folder.mkdir(exist_ok=True)
    call_file.write_call(folder, call, [SETTING.description()])
    return Reader(folder / call_file.FILE, lambda: call_file.read_call(folder), True)


def _ensemble(folder: Path) -> Reader:
    member = Member(NET, jn.init(NET, jax.random.key(0)), np.zeros(4), np.ones(4))
    path = folder / "ensemble.safetensors"
    jn.Ensemble((member, member)).save(path)
    return Reader(path, lambda: jn.Ensemble.load(path).members, True)


def _study_json(folder: Path) -> Reader:
    description = {"format": store.FORMAT, "data": "ab12", "evaluate_on": ["evaluation"], "x": 0.5}
    store.Folder(folder, description)
    return Reader(
        folder / "study.json", lambda: vars(store.Folder(folder, description))["description"], True
    )


def _config(folder: Path) -> Reader:
    config = json.loads((OLD / "cli_run" / "config.json").read_bytes())
    config["settings"] |= {"hidden": ["relu"], "patience": 3, "hyper": ["eps=1e-7"]}
    config["settings"] |= {"optimizer": "adam", "schedule": "cosine", "horizon": 4.0}
    config["settings"] |= {"data": "mnist"}
    path = folder / "config.json"
    path.write_text(json.dumps(config, indent=2), encoding="utf-8")

    def read() -> object:
        options = resumed_options(folder, [])
        return options.full_network(), options.recipe(), options._monitors()

    return Reader(path, read)


def _sweep_options(folder: Path) -> Reader:
    write_options(folder, Sweep(optimizer="adam", hyper=("eps=1e-7",), hidden=("relu",), seeds=3))
    return Reader(folder / OPTIONS_FILE, lambda: resumed_sweep(folder, []))


def _comparison(name: str) -> Callable[[Path], Reader]:
    def build(folder: Path) -> Reader:
        comparison_folder.read(OLD / "comparison").write(folder)
        path = folder / name
        if name == "manifest.json":
            return Reader(path, lambda: comparison_folder.read(folder)._asdict(), True)
        manifest = json.loads((folder / "manifest.json").read_bytes())
        table, digest = name.removesuffix(".csv"), manifest["sha256"][name]
        if name == "timing.json":
            return Reader(path, lambda: comparison_folder.read_timing(path, digest), True)
        return Reader(
            folder / name, lambda: comparison_folder._read_table(folder, table, digest), True
        )

    return build


def _old_comparison(name: str) -> Callable[[Path], Reader]:
    def build(folder: Path) -> Reader:
        shutil.copytree(OLD / "comparison", folder, dirs_exist_ok=True)
        if name == "manifest.json":
            return Reader(folder / name, lambda: comparison_folder.read(folder)._asdict())
        table = "expected_performance" if name == "luck.csv" else name.removesuffix(".csv")
        return Reader(folder / name, lambda: comparison_folder._read_table(folder, table, None))

    return build


def _identity(folder: Path) -> Reader:
    identity = {
        "format": comparison_folder.FORMAT,
        "devices": 1,
        "protocol": {"epochs": 2},
        "ranges": "{}",
        "dtype": "f",
    }
    comparison_folder.start_or_continue(folder, identity)
    path = folder / "manifest.json"
    return Reader(path, lambda: comparison_folder.start_or_continue(folder, identity), True)


def _table(folder: Path) -> Reader:
    path = folder / "table.csv"
    csv.write_csv(path, [{"label": "=a, λ", "n": n, "score": n / 3} for n in range(9)])
    return Reader(path, lambda: csv.read_csv(path, text=["label"]))


def _columns(suffix: str) -> Callable[[Path], Reader]:
    def build(folder: Path) -> Reader:
        path = folder / f"patients{suffix}"
        rows = [
            {"age": 30 + n, "town": "Zürich" if n % 2 else "=1", "ill": n % 2} for n in range(9)
        ]
        (csv.write_csv if suffix == ".csv" else parquet.write_parquet)(path, rows)
        return Reader(path, lambda: table_files.read_columns(path))

    return build


def _drawn(name: str) -> Callable[[Path], Reader]:
    """A file of a run of which pictures are drawn."""
    kind = {"history.csv": "curves", "monitors.csv": "monitors"}[name]

    def build(folder: Path) -> Reader:
        curve = np.linspace(0.5, 0.9, 3)
        (folder / "history.csv").write_bytes(csv.history_csv(jn.History(*[curve] * 4)))
        measured = {"step": np.arange(3), "dead": np.ones((3, 2)), "cost": np.ones((3, 1))}
        (folder / "monitors.csv").write_bytes(csv.monitors_csv(measured))

        def read() -> object:
            draw = pictures.figures_of(folder).get(kind)
            return draw and len(draw().axes)

        return Reader(folder / name, read)

    return build


def _network2(folder: Path) -> Reader:
    path = folder / "net"
    jn.book.Network([2, 3, 2], seed=0).save(path)
    return Reader(path, lambda: jn.book.load(path).weights)


def _callback_csv(folder: Path) -> Reader:
    path = folder / "run.csv"
    columns = ("epoch", *jn.callbacks.NUMBERS)
    path.write_bytes(csv.encode([columns, *([n, *[0.5] * (len(columns) - 1)] for n in (1, 2, 3))]))
    return Reader(path, lambda: jn.callbacks.csv(path))


def _idx(suffix: str, is_mnist: bool = False) -> Callable[[Path], Reader]:
    def build(folder: Path) -> Reader:
        name = jn.datasets.IDX_FILES[0]
        array = np.arange(60, dtype=np.uint8).reshape(5, 4, 3)
        content = struct.pack(">4B3I", 0, 0, 8, 3, *array.shape) + array.tobytes()
        path = folder / f"{name}{suffix}"
        path.write_bytes(gzip.compress(content, mtime=0) if suffix else content)
        digest = _sha256(content) if is_mnist else None
        return Reader(path, lambda: idx_files.read_idx(path, digest), is_mnist)

    return build


def _sha256(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()


def _npz(compress: bool) -> Callable[[Path], Reader]:
    def build(folder: Path) -> Reader:
        path = folder / "data.npz"
        arrays = {"x_train": np.arange(36, dtype=np.uint8).reshape(9, 4), "y_train": np.arange(9)}
        (np.savez_compressed if compress else np.savez)(path, **arrays)
        return Reader(path, lambda: jn.datasets.npz(path))

    return build


def _published(first: str, suffix: str = "") -> Callable[[Path], Reader]:
    """The first file of a published set, whose other files are as they should be."""

    def build(folder: Path) -> Reader:
        file_set = next(each for each in file_sets.ALL if each.files[0] == first)
        side = 16 if file_set in file_sets.USPS else 6
        x, y = (
            [data_files.images(6, side), data_files.images(3, side)],
            [np.arange(6), np.arange(3)],
        )
        data_files.write_files(folder, data_files.contents_of(file_set, x, y), suffix)
        path = folder / f"{first}{suffix}"
        return Reader(path, lambda: jn.datasets.load(path))

    return build


def _npy(folder: Path) -> Reader:
    path = folder / "image.npy"
    np.save(path, np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8))
    return Reader(path, _prediction(folder, path))


def _prediction(folder: Path, image: Path) -> Callable[[], object]:
    """What `jaxnet predict` prints of an image."""
    net = jn.Network((64, 2))
    jn.save(folder / "net.json", net, jn.init(net, jax.random.key(0)))

    def read() -> str:
        printed = io.StringIO()
        predict.Predict(files=(folder / "net.json", image))(Console(file=printed))
        return printed.getvalue()

    return read


def _picture(suffix: str) -> Callable[[Path], Reader]:
    def build(folder: Path) -> Reader:
        from PIL import Image

        path = folder / f"image{suffix}"
        pixels = np.full((24, 20, 4 if suffix == ".png" else 3), 230, np.uint8)
        pixels[4:20, 8:11, :3] = np.arange(48, dtype=np.uint8).reshape(16, 3, 1)
        Image.fromarray(pixels).save(path)
        return Reader(path, _prediction(folder, path))

    return build


def _picture_list(folder: Path) -> Reader:
    _picture(".png")(folder)
    path = folder / "pictures.csv"
    path.write_text("file,label\nimage.png,1\nimage.png,0\n", encoding="utf-8")
    return Reader(path, _prediction(folder, path))


def _results(folder: Path) -> Reader:
    path = folder / "results.json"
    row = experiment.estimate_row("accuracy", np.linspace(0.9, 1, 16), 0.95)
    results = {"config": {"smoke": False}, "changed": [], "rows": [row], "seconds": 1.5}
    path.write_text(json.dumps(results), encoding="utf-8")
    return Reader(path, lambda: experiment.read_results(path))


def _script(folder: Path) -> Reader:
    path = folder / "coin.py"
    path.write_text('"""Is it fair?\n\n    python coin.py    # 1 second on 2 cores\n"""\n', "utf-8")
    return Reader(path, lambda: experiment_index.catalogue(folder))


def _picture_of_a_page(folder: Path) -> Reader:
    path = folder / "coin.svg"
    path.write_bytes(page_pictures.svg(Figure((1, 1))))
    return Reader(path, lambda: page_pictures.of_svg_file("coin", path))


READERS: dict[str, Callable[[Path], Reader]] = {
    "network .json": _network(".json"),
    "network .safetensors": _network(".safetensors"),
    "network .json of network2": _old_network("network_sigmoid.json"),
    "network .json of 0.2": _old_network("network.json"),
    "network .safetensors of 0.2": _old_network("network.safetensors"),
    "checkpoint": _checkpoint,
    "checkpoint of 0.2": _old_checkpoint,
    "chunk": _chunk,
    "chunk of 0.2": _old_chunk,
    "call": _call,
    "ensemble": _ensemble,
    "study.json": _study_json,
    "config.json": _config,
    "sweep.json": _sweep_options,
    "manifest": _comparison("manifest.json"),
    "manifest, unfinished": _identity,
    "manifest of 0.2": _old_comparison("manifest.json"),
    "timing.json": _comparison("timing.json"),
    **{f"{name}.csv": _comparison(f"{name}.csv") for name in comparison_folder.TABLES},
    "luck.csv of 0.2": _old_comparison("luck.csv"),
    "curves.csv of 0.2": _old_comparison("curves.csv"),
    "summary.csv of 0.2": _old_comparison("summary.csv"),
    "table .csv": _table,
    "history.csv": _drawn("history.csv"),
    "monitors.csv": _drawn("monitors.csv"),
    "columns .csv": _columns(".csv"),
    "columns .parquet": _columns(".parquet"),
    "network of network2's program": _network2,
    "callback .csv": _callback_csv,
    "IDX": _idx(""),
    "IDX .gz": _idx(".gz"),
    "MNIST .gz": _idx(".gz", is_mnist=True),
    "data .npz": _npz(compress=False),
    "data .npz, compressed": _npz(compress=True),
    "KMNIST .npz": _published("kmnist-train-imgs.npz"),
    "EMNIST .mat": _published("emnist-digits.mat"),
    "EMNIST .mat, compressed": _published("emnist-balanced.mat"),
    "pixels .csv": _published("mnist_train.csv"),
    "pixels .csv.gz": _published("mnist_train.csv", ".gz"),
    "LIBSVM": _published("usps"),
    "LIBSVM .bz2": _published("usps", ".bz2"),
    "columns .gz": _published("zip.train", ".gz"),
    "image .npy": _npy,
    **{f"image {suffix}": _picture(suffix) for suffix in (".png", ".jpg", ".gif", ".bmp", ".tif")},
    "pictures .csv": _picture_list,
    "results.json": _results,
    "experiment's script": _script,
    "experiment's picture": _picture_of_a_page,
}


# ------------------------------------------------------------------------------ the damage

Random = np.random.Generator
NUMBERS = (
    "NaN", "Infinity", "-1", "0", "1e999", "-1e308", "9" * 30, "9" * 5000, "1099511627776", "nan",
    "true", '"1"', "null", "[]", "{}", "_", "",
)  # fmt: skip
VALUES = (
    None, True, 0, -1, 0.5, float("nan"), float("inf"), 2**31, 2**63, 10**400, "", "λ", "sgd",
    "../x", [], {}, [None], [[1.0]], {"a": 1}, "x" * 10_000, [0] * 10_000,
)  # fmt: skip


def _flip(content: bytes, random: Random) -> bytes:
    changed = bytearray(content)
    for position in random.integers(len(content), size=random.integers(1, 4)):
        changed[position] ^= 1 << random.integers(8)
    return bytes(changed)


def _set_byte(content: bytes, random: Random) -> bytes:
    changed = bytearray(content)
    changed[random.integers(len(content))] = random.choice([0, 255, 128, 10, 34, 45, 46, 57, 101])
    return bytes(changed)


def _cut(content: bytes, random: Random) -> bytes:
    return content[: random.integers(len(content))]


def _cut_at_a_line(content: bytes, random: Random) -> bytes:
    lines = content.splitlines(keepends=True)
    return b"".join(lines[: random.integers(len(lines))])


def _span(content: bytes, random: Random) -> slice:
    begin = int(random.integers(len(content)))
    return slice(begin, begin + int(random.integers(1, 64)))


def _delete(content: bytes, random: Random) -> bytes:
    span = _span(content, random)
    return content[: span.start] + content[span.stop :]


def _duplicate(content: bytes, random: Random) -> bytes:
    span = _span(content, random)
    return content[: span.stop] + content[span] * int(random.integers(1, 5)) + content[span.stop :]


def _insert(content: bytes, random: Random) -> bytes:
    position = random.integers(len(content) + 1)
    return content[:position] + random.bytes(random.integers(1, 16)) + content[position:]


def _nest(content: bytes, random: Random) -> bytes:
    position = random.integers(len(content) + 1)
    depth = int(random.choice([50, 900, 100_000]))
    opening, closing = ((b"[", b"]"), (b'{"a":', b"}"), (b"(", b")"))[random.integers(3)]
    middle = opening * depth + b"1" + closing * (depth if random.random() < 0.5 else 0)
    return content[:position] + middle + content[position:]


def _huge_number(content: bytes, random: Random) -> bytes:
    digits = [i for i in range(len(content)) if content[i : i + 1].isdigit()]
    if not digits:
        return _flip(content, random)
    begin = end = digits[random.integers(len(digits))]
    while content[end : end + 1] in (*map(bytes, zip(b"0123456789.eE+-")),):
        end += 1
    return content[:begin] + NUMBERS[random.integers(len(NUMBERS))].encode() + content[end:]


def _fill(content: bytes, random: Random) -> bytes:
    span = _span(content, random)
    fill = bytes([random.choice([0, 255, 32])])
    return content[: span.start] + fill * len(content[span]) + content[span.stop :]


def _empty(content: bytes, random: Random) -> bytes:
    return b"" if random.random() < 0.5 else b"\xef\xbb\xbf" + content


ANY = (
    _flip, _flip, _flip, _set_byte, _set_byte, _cut, _cut_at_a_line, _delete, _duplicate, _insert,
    _nest, _huge_number, _huge_number, _fill, _empty,
)  # fmt: skip


def _change_tree(content: bytes, random: Random) -> bytes:
    """Change one value or one key somewhere in a JSON document."""
    document = json.loads(content)
    places = list(_places(document))
    parent, key = places[random.integers(len(places))]
    value = VALUES[random.integers(len(VALUES))]
    change = random.integers(6)
    if change == 0 and isinstance(parent, dict):
        parent[f"{key}x"] = parent.pop(key)
    elif change == 1:
        del parent[key]
    elif change == 2:
        other, other_key = places[random.integers(len(places))]
        parent[key] = json.loads(json.dumps(other[other_key]))
    elif change == 3 and isinstance(parent, dict):
        parent["new"] = value
    elif change == 4:
        parent[key] = [parent[key]]
    else:
        parent[key] = value
    return json.dumps(document).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a value in a JSON document: the container, and the key or the index."""
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for key in list(keys):
        yield value, key
        yield from _places(value[key])


def _change_json(content: bytes, random: Random) -> bytes:
    return _change_tree(content, random) if random.random() < 0.7 else _any(content, random)


def _any(content: bytes, random: Random) -> bytes:
    return ANY[random.integers(len(ANY))](content, random) if content else b"x"


def _change_safetensors(content: bytes, random: Random) -> bytes:
    """Change the header, or the JSON in its metadata, and let the length fit again."""
    end = 8 + int.from_bytes(content[:8], "little")
    text, body = content[8:end], content[end:]
    if random.random() < 0.6:
        header = json.loads(text)
        metadata = header["__metadata__"]
        key = next(iter(metadata))
        changed = _change_json(metadata[key].encode(), random)
        metadata[key] = changed.decode("utf-8", "replace")
        text = json.dumps(header).encode()
    else:
        text = _change_json(text, random)
    return len(text).to_bytes(8, "little") + text + body


def _change_gzip(content: bytes, random: Random) -> bytes:
    return gzip.compress(_any(gzip.decompress(content), random), mtime=0)


def _change_zip(content: bytes, random: Random) -> bytes:
    """Change a file in an archive, whose checksum fits again."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as before, zipfile.ZipFile(changed, "w") as after:
        members = before.infolist()
        chosen = members[random.integers(len(members))].filename
        for member in members:
            data = before.read(member)
            data = _change_npy(data, random) if member.filename == chosen else data
            after.writestr(member.filename, data, member.compress_type)
    return changed.getvalue()


def _change_npy(content: bytes, random: Random) -> bytes:
    """Change the header of a .npy file, and let the length fit again."""
    end = 10 + int.from_bytes(content[8:10], "little")
    text = _any(content[10:end], random)
    shapes = (b"(1099511627776,)", b"(-4, -4)", b"(0, 4611686018427387904)", b"('a',)", b"None")
    if random.random() < 0.5:
        begin, close = content.index(b"("), content.index(b")") + 1
        text = content[10:begin] + shapes[random.integers(len(shapes))] + content[close:end]
    if random.random() < 0.3:
        kinds = (b"|O", b"<V0", b"<U0", b"<M8", b"<f16", b">f8", b"i4,i4", b"<c16", b"\\x")
        text = text.replace(b"<f4", kinds[random.integers(len(kinds))])
    return content[:8] + (len(text) % 2**16).to_bytes(2, "little") + text + content[end:]


def _change_png(content: bytes, random: Random) -> bytes:
    """Change a chunk of a PNG, and let its checksum fit again."""
    chunks, position = [], 8
    while position < len(content):
        length = int.from_bytes(content[position : position + 4], "big")
        chunks.append(content[position + 4 : position + 8 + length])
        position += 12 + length
    chosen = random.integers(len(chunks))
    kind, data = chunks[chosen][:4], chunks[chosen][4:]
    if kind == b"IHDR" and random.random() < 0.7:
        sizes = random.choice([0, 1, 4, 2**14, 2**20, 2**31 - 1], 2)
        data = struct.pack(">2I", *sizes.tolist()) + data[8:]
    elif data:
        data = _any(data, random)
    chunks[chosen] = kind + data
    return content[:8] + b"".join(
        len(chunk[4:]).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
        for chunk in chunks
    )


STRUCTURED = {
    ".json": _change_tree, ".safetensors": _change_safetensors, ".gz": _change_gzip,
    ".npz": _change_zip, ".npy": _change_npy, ".png": _change_png,
}  # fmt: skip


OTHER = 0
"""The number of steps that stands for another file in the place of the reader's own."""


def damaged(content: bytes, suffix: str, others: list[bytes], random: Random) -> tuple[bytes, int]:
    """A damaged content, and in how many steps it was damaged."""
    if random.random() < 0.03:
        return others[random.integers(len(others))], OTHER
    n_steps = 1 if random.random() < 0.7 else int(random.integers(2, 4))
    for _ in range(n_steps):
        change = STRUCTURED.get(suffix, _any) if random.random() < 0.5 else _any
        try:
            content = change(content, random)
        except (ValueError, KeyError, IndexError, OSError, EOFError, StopIteration,
                AttributeError, TypeError, RecursionError, zlib.error,
                zipfile.BadZipFile):  # fmt: skip
            content = _any(content, random)  # it is so damaged that it has no structure left
    return content, n_steps


# ------------------------------------------------------------------------------ the judgement


def outcome(reader: Reader, expected: object, content: bytes, n_steps: int) -> tuple[str, str]:
    """What a reader does with a damaged content: a member of `OUTCOMES`, and a detail."""
    reader.path.write_bytes(content)
    try:
        with warnings.catch_warnings(), time_limit(), _memory_limit() as peak:
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", UserWarning)  # what a reader assumes and says
            result = reader.read()
    except ValueError as error:
        message = str(error)
        if "more memory than there is" in message:
            return "memory", message
        is_named = reader.path.name in message or str(reader.path.parent) in message
        return ("ValueError" if is_named and "\n" not in message else "message"), message
    except Hang:
        return "hang", f"more than {SECONDS} s"
    except Exception as error:
        return "other exception", f"{type(error).__name__}: {error}"
    if peak() > MEMORY:
        return "memory", f"{peak()} bytes"
    may_differ = not reader.is_sealed or n_steps == OTHER
    may_differ |= reader.path.suffix == ".json" and n_steps > 1
    if may_differ or same(result, expected):
        return "read", ""
    return "changed", f"{result!r:.200}"


def same(value: object, other: object) -> bool:
    """Whether two results are equal: arrays to the bit."""
    leaves, others = jax.tree.leaves(value), jax.tree.leaves(other)
    return jax.tree.structure(value) == jax.tree.structure(other) and all(
        a == b or np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind == "f")
        if np.ndim(a) == 0
        else np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind == "f")
        for a, b in zip(leaves, others, strict=True)
    )


@contextmanager
def time_limit() -> Iterator[None]:
    """A context that a `Hang` ends after `SECONDS`."""

    def stop(*_: object) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _memory_limit() -> Iterator[Callable[[], int]]:
    tracemalloc.start()
    peaks = [0]
    try:
        yield lambda: peaks[0]
    finally:
        peaks[0] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()


class Case(NamedTuple):
    """A reader with a valid file, what it reads from it, and the contents of others' files."""

    reader: Reader
    content: bytes
    expected: object


def build(name: str, folder: Path) -> Case:
    """The case of a reader of the registry, in a folder of its own."""
    folder.mkdir(parents=True)
    reader = READERS[name](folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return Case(reader, reader.path.read_bytes(), reader.read())


def fuzz(case: Case, n: int, seed: int, others: list[bytes]) -> Iterator[tuple[str, str, bytes]]:
    """The outcomes of n damaged contents, each with its detail and the content."""
    random = np.random.default_rng(seed)
    try:
        for _ in range(n):
            content, n_steps = damaged(case.content, case.reader.path.suffix, others, random)
            yield *outcome(case.reader, case.expected, content, n_steps), content
    finally:
        case.reader.path.write_bytes(case.content)


def main() -> int:
    """Fuzz all readers, and print a table and the first failures of each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--n", type=int, default=10_000, help="damaged files in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--readers", nargs="*", default=list(READERS))
    parser.add_argument("--keep", type=Path, help="a folder for the contents that failed")
    options = parser.parse_args()
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        cases = {name: build(name, Path(folder, str(i))) for i, name in enumerate(READERS)}
        others = [case.content for case in cases.values()]
        # What tracemalloc does not see, such as a decoder's memory.
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (used + 2 * MEMORY, hard))
        print(f"{'':28}" + "".join(f"{name:>17}" for name in OUTCOMES))
        for name in options.readers:
            counts, details = Counter(), Counter()
            n = -(-options.n // len(options.readers))
            for kind, detail, content in fuzz(cases[name], n, options.seed, others):
                counts[kind] += 1
                if kind in FAILURES:
                    details[f"{kind}: {detail[:300]}"] += 1
                    if options.keep:
                        options.keep.mkdir(exist_ok=True)
                        (
                            options.keep / f"{name}-{sum(details.values())}".replace("/", "_")
                        ).write_bytes(content)
            failures += sum(details.values())
            print(f"{name:28}" + "".join(f"{counts[kind]:17}" for kind in OUTCOMES), flush=True)
            for detail, count in details.most_common(5):
                print(f"    {count} × {detail}")
    print(f"{failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
