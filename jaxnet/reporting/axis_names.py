"""What stands at the axes of pictures and above the columns of tables: names in words."""

from jaxnet.sweeps.study import Study


def in_words(name: str) -> str:
    """A hyperparameter at an axis, its name and its symbol.

    Args:
      name: its name in `Setting.columns`, or the last part of that.

    >>> in_words("learning_rate"), in_words("batch_size")
    ('learning rate η', 'batch size (examples)')
    """
    labels = {
        "learning_rate": "learning rate η",
        "l2": "L2 penalty λ",
        "l1": "L1 penalty λ",
        "decay": "momentum or decay",
        "dropout": "probability of dropout",
        "batch_size": "batch size (examples)",
        "examples": "training examples",
    }
    return labels.get(name, name.replace("_", " "))


def curve_in_words(curve: str) -> str:
    """The name of a curve in words, without "data" in those of costs.

    Args:
      curve: its name in `History.curves`.

    >>> curve_in_words("evaluation_data_cost"), curve_in_words("test_accuracy")
    ('validation cost', 'test accuracy')
    """
    words = curve.replace("evaluation_", "validation ").replace("data_cost", "cost")
    return words.replace("_", " ")


def score_in_words(study: Study) -> str:
    """What ranks the networks of a study, in words.

    Args:
      study: the study.

    Returns:
      Such as "validation accuracy".
    """
    return curve_in_words(study.ranked_by)
