"""The files of a comparison: each is the one that the manifest names, or it is refused."""

import contextlib
import hashlib
import json
import shutil
from pathlib import Path

import pytest

from jaxnet.comparison import comparison_folder, file_checks
from jaxnet.io import files

OLD = Path(__file__).parents[1] / "data" / "version_0_2_0" / "comparison"
TABLES = comparison_folder.TABLES


@pytest.fixture
def folder(tmp_path):
    comparison_folder.read(OLD).write(tmp_path)
    return tmp_path


def test_what_is_written_is_read(folder):
    # Texts are compared, in which a NaN is equal to a NaN.
    assert str(comparison_folder.read(folder)._asdict()) == str(
        comparison_folder.read(OLD)._asdict()
    )


@pytest.mark.parametrize("table", TABLES)
def test_a_table_that_was_cut_at_the_end_of_a_row_is_refused(folder, table):
    path = folder / f"{table}.csv"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    with pytest.raises(
        ValueError, match=rf"{table}\.csv is not .*: it does not have the SHA-256.*r"
    ):
        comparison_folder.read(folder)


@pytest.mark.parametrize("name", [*(f"{table}.csv" for table in TABLES), "timing.json"])
def test_no_other_byte_is_read(folder, name):
    content = (folder / name).read_bytes()
    for position in range(0, len(content), max(1, len(content) // 5)):
        changed = bytearray(content)
        changed[position] ^= 1
        (folder / name).write_bytes(changed)
        with pytest.raises(ValueError, match=f"{name} is not .*SHA-256 that manifest.json names"):
            comparison_folder.read(folder)


def test_no_number_of_the_manifest_can_be_changed(folder):
    path = folder / "manifest.json"
    content = path.read_bytes()
    expected = comparison_folder.read(folder).manifest
    for position in range(0, len(content), 61):
        changed = bytearray(content)
        changed[position] ^= 1
        path.write_bytes(changed)
        with contextlib.suppress(ValueError):  # a space between entries may be another
            assert comparison_folder.read(folder).manifest == expected


@pytest.mark.parametrize("missing", ["seal", "sha256"])
def test_a_manifest_without_its_seal_or_its_hashes_is_refused(folder, missing):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_bytes())
    del manifest[missing]
    path.write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(ValueError, match=r"manifest\.json is not .*hashes"):
        comparison_folder.read(folder)


def test_an_older_name_does_not_evade_the_hash(folder):
    (folder / "expected_performance.csv").rename(folder / "luck.csv")
    comparison_folder.read(folder)
    shutil.copy(folder / "usual_study.csv", folder / "luck.csv")
    with pytest.raises(ValueError, match=r"luck\.csv is not .*SHA-256 that manifest\.json names"):
        comparison_folder.read(folder)


def test_a_folder_of_several_tasks_names_their_folders(folder, tmp_path_factory):
    several = tmp_path_factory.mktemp("several")
    for task in ("digits", "book"):
        shutil.copytree(folder, several / task)
    with pytest.raises(ValueError, match="of several tasks; name one of its folders book, digits"):
        comparison_folder.read(several)


def test_the_manifest_is_written_last(folder, monkeypatch):
    comparison = comparison_folder.read(folder)
    written = []
    monkeypatch.setattr(files, "write_atomic", lambda path, _: written.append(path.name))
    comparison.write(folder)
    assert written[-1] == "manifest.json"
    assert {*written} >= {*(f"{table}.csv" for table in TABLES), "timing.json"}


@pytest.mark.parametrize("entry", file_checks.MANIFEST)
@pytest.mark.parametrize("value", [None, 3.5, "missing"])
def test_an_entry_of_another_type_is_refused_in_older_manifests_too(tmp_path, entry, value):
    shutil.copytree(OLD, tmp_path, dirs_exist_ok=True)
    manifest = json.loads((OLD / "manifest.json").read_bytes())
    if value == "missing":
        del manifest[entry]
    else:
        manifest[entry] = value
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(
        ValueError, match=rf"manifest\.json is not the manifest of .*{entry}|not fin"
    ):
        comparison_folder.read(tmp_path)


def test_the_curves_of_both_phases_are_read_from_the_one_table_of_older_formats(tmp_path):
    before = [line.split(",") for line in (OLD / "curves.csv").read_text().splitlines()[1:]]
    comparison = comparison_folder.read(OLD)
    for phase, rows in (
        ("tuning", comparison.tuning_curves),
        ("report", comparison.report_curves),
    ):
        expected = [float(line[-1]) for line in before if line[0] == phase]
        assert [row["valid_score"] for row in rows] == expected
        assert {row["phase"] for row in rows} == {phase}
    with pytest.warns(DeprecationWarning, match="tuning_curves and Comparison.report_curves"):
        assert len(comparison.curves) == len(before)
    assert comparison.tuning_bands == []
    # One of format 2 has hashes and a seal.
    shutil.copytree(OLD, tmp_path, dirs_exist_ok=True)
    manifest = json.loads((OLD / "manifest.json").read_bytes()) | {"format": 2}
    digest = hashlib.sha256((OLD / "curves.csv").read_bytes()).hexdigest()
    sealed = files.seal(manifest | {"sha256": {"curves.csv": digest}})
    comparison_folder.write_json(tmp_path / "manifest.json", sealed)
    assert comparison_folder.read(tmp_path).report_curves == comparison.report_curves
    with (tmp_path / "curves.csv").open("a") as file:
        file.write("\n")
    with pytest.raises(ValueError, match=r"curves\.csv is not .*SHA-256"):
        comparison_folder.read(tmp_path)


@pytest.mark.parametrize("table", [*TABLES, "tuning_bands"])
def test_every_column_of_a_table_is_needed(table):
    columns = file_checks.COLUMNS[table]
    rows = getattr(comparison_folder.read(OLD), table) or [dict.fromkeys(columns, 1.0)]
    file_checks.check_table(table, rows)
    for column in columns:
        without = [{name: row[name] for name in row if name != column} for row in rows]
        with pytest.raises(ValueError, match=f"it lacks the column '{column}'"):
            file_checks.check_table(table, without)


def test_the_manifest_of_another_kind_of_folder_is_refused(tmp_path):
    for content in ("[]", "{", '{"format": 2}', '{"conclusion": []}'):
        (tmp_path / "manifest.json").write_text(content, encoding="utf-8")
        with pytest.raises(ValueError, match=r"manifest\.json is not the manifest of a finished"):
            comparison_folder.read(tmp_path)
