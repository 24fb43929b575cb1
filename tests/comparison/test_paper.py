"""Tables and the protocol as a paper prints them: pandas writes the same LaTeX."""

import re

import pandas as pd
import pytest

import jaxnet as jn
from jaxnet.comparison import paper


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison") / "xor"
    report = jn.compare(
        jn.Network((2, 4, 2)), jn.datasets.xor(n=50), {"a_b": jn.sgd, "50% & λ": jn.adam}, trials=5,
        epochs=2, tuning_seeds=2, seeds=4, timing=False, log=None, folder=folder,
    )  # fmt: skip
    return folder, report


@pytest.mark.parametrize("table", ["summary", "pairwise", "time_to_target", "runs"])
def test_latex_is_that_of_pandas(table, compared):
    frame = compared[1].to_frame(table)
    frame = frame[list(paper.COLUMNS.get(table, frame.columns))]
    text = {name for name in frame if not pd.api.types.is_numeric_dtype(frame[name])}
    alignment = "".join("l" if name in text else "r" for name in frame)
    expected = frame.rename(columns=lambda name: name.replace("_", " ")).to_latex(
        index=False, float_format="%.4g", na_rep="--", escape=True, column_format=alignment
    )
    signed = re.sub(r"(?<= )-(?=[\d.]+(e[+-]\d+)? )", "$-$", expected.strip())
    assert compared[1].to_latex(table) == signed


def test_markdown_has_a_cell_for_each_value(compared):
    report = compared[1]
    head, rule, *lines = report.to_markdown(columns=["optimizer", "test_score", "seeds"]).split(
        "\n"
    )
    assert (head, rule) == ("| optimizer | test score | seeds |", "|---|---:|---:|")
    for line, row in zip(lines, report.summary, strict=True):
        label, score, seeds = line.strip("| ").split(" | ")
        assert (label, int(seeds)) == (row["optimizer"], 4)
        assert float(score) == pytest.approx(row["test_score"], rel=1e-3)


def test_a_cell_without_value_is_a_dash_and_a_bar_ends_no_cell():
    rows = [{"optimizer": "a|b\nc", "low": float("nan"), "high": None}]
    last = paper.markdown(rows, ["optimizer", "low", "high"]).split("\n")[-1]
    assert last == r"| a\|b c | – | – |"


def test_the_methods_have_this_comparisons_numbers(compared):
    folder, report = compared
    assert (folder / "methods.txt").read_text() == report.methods
    assert "on Network(sizes=(2, 4, 2)" in report.methods
    assert "50 training, 50 validation and 50 test examples" in report.methods
    assert "4 other seeds (1000 to 1003)" in report.methods
    n_trials = report.summary[0]["trials"]
    assert ("were extended there, to" in report.methods) == (n_trials > 5)
    assert f"{len(report.runs)} networks were trained for {2 * len(report.runs)} epochs" in (
        report.methods.replace(",", "")
    )
    n_diverged = sum(row["diverged_epoch"] > 0 for row in report.runs if row["phase"] == "report")
    assert re.search(r"Of the 8 runs of the report (\w+) diverged", report.methods)[1] == (
        str(n_diverged or "none")
    )


def test_unknown_tables_and_columns_are_refused(compared):
    with pytest.raises(ValueError, match='table must be "runs", "tuning_curves"'):
        compared[1].to_frame("summaries")
    with pytest.raises(ValueError, match='columns must be "optimizer", "learning_rate"'):
        compared[1].to_markdown(columns=["score"])
    with pytest.raises(ValueError, match="the table time_to_target of this comparison has no rows"):
        compared[1]._replace(time_to_target=[]).to_latex("time_to_target", columns=["target"])


def test_a_table_without_a_usual_column_is_printed_without_it(compared):
    rows = [
        {name: value for name, value in row.items() if name != "learning_rate"}
        for row in compared[1].summary
    ]
    head = compared[1]._replace(summary=rows).to_markdown().split("\n")[0]
    assert head.startswith("| optimizer | test score | test score sd |")
