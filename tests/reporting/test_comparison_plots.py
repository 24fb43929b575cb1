import pytest
from matplotlib.cbook import is_math_text
from matplotlib.figure import Figure
from matplotlib.text import Text

import jaxnet as jn
from jaxnet.comparison import Comparison, compare, conclusions
from jaxnet.reporting import comparison_page, comparison_plots, plots

LABELS = ("$\\frac{", "a$b$ \\$", "_hidden", "<b>&{}%s")
"""For matplotlib a broken formula, a formula, a line without a legend, and a plain text."""


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    optimizers = dict.fromkeys(LABELS, "momentum")
    return compare(
        jn.Network((2, 4, 2)), jn.datasets.xor(n=40), optimizers, tier="random", trials=5, epochs=2,
        seeds=3, tuning_seeds=1, timing=False, log=None,
    )  # fmt: skip


def drawn(figure: Figure) -> str:
    """All texts of a figure as they are drawn."""
    plots.png(figure)  # a broken formula raises
    texts = [text.get_text() for text in figure.findobj(Text)]
    return "\n".join(text.replace(r"\$", "$") for text in texts if not is_math_text(text))


@pytest.mark.filterwarnings("error")
def test_labels_stand_in_pictures_as_they_are(comparison):
    figures = comparison_plots.draw_figures(comparison)
    assert {"sensitivity", "search", "curves", "strips", "tuning_bands"} <= set(figures)
    rows = [{"optimizer": label, "factor": factor, "fraction": 0.5}
            for label in LABELS for factor in (1.0, 2.0)]  # fmt: skip
    profile = comparison_plots.profile(rows)
    for name, figure in [*((n, f) for n, (f, _) in figures.items()), ("profile", profile)]:
        assert all(label in drawn(figure) for label in LABELS), name


def test_each_optimizer_is_in_the_legend(comparison):
    figure, _ = comparison_plots.draw_figures(comparison)["curves"]
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert len(legend.get_texts()) == len(LABELS)


def test_a_page_folds_the_sentences_of_many_pairs(comparison, monkeypatch):
    n_sentences = len(comparison.conclusion)
    page = comparison_page.page(comparison, {})
    assert "Each of the" not in page
    assert page.partition("<h2>Test scores")[0].count("<li>") == n_sentences
    monkeypatch.setattr(conclusions, "MOST_PAIRS", 5)
    first, _, others = comparison_page.page(comparison, {}).partition("Each of the 6 pairs")
    assert first.count("<li>") == n_sentences - 6
    assert others.partition("</details>")[0].count("<li>") == 6
    assert "bands of the tuning curves" in first


def test_a_page_of_few_seeds_is_a_quick_look(comparison):
    assert "QUICK LOOK: 2 epochs, 3 seeds" in comparison_page.page(comparison, {})
    protocol = comparison.manifest["protocol"] | {"report_seeds": list(range(16))}
    many = comparison._replace(manifest=comparison.manifest | {"protocol": protocol})
    assert "QUICK LOOK" not in comparison_page.page(many, {})
