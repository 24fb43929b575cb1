"""Folds in a sweep: a fold's lane is the network trained on that subset alone."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import StratifiedKFold

import jaxnet as jn
from jaxnet.acceleration import first_layer
from jaxnet.acceleration.padding import can_pad, program_network, unpad_params
from jaxnet.data.resampling import Fold
from jaxnet.recipes import optimizers
from jaxnet.recipes.trainable import trainable_masks, where_trainable
from jaxnet.sweeps.chunk import ChunkSpec, train_chunk
from jaxnet.sweeps.folds import LaneFold, Room
from jaxnet.sweeps.layout import Layout
from jaxnet.sweeps.recipe_batch import RecipeBatch
from jaxnet.sweeps.starts import lane_starts
from tests.recipes.test_recipe import PARTS
from tests.support.parameters import representatives

RANDOM = np.random.default_rng(0)
N = 61
DATA = jn.Dataset(
    jn.Split(RANDOM.normal(3.0, 2.0, (N, 4)), RANDOM.integers(3, size=N), RANDOM.gamma(2, size=N)),
    None,
    jn.Split(RANDOM.normal(3.0, 2.0, (9, 4)), RANDOM.integers(3, size=9)),
)
NET = jn.Network((4, 15, 3), cost=jn.costs.LogLikelihood())
FOLDS = jn.resampling.k_fold(3, valid=0.2, stratify=True)
CURVES = ("evaluation_cost", "evaluation_accuracy", "evaluation_data_cost")


def _alone(study, recipe, seed, fold, **options):
    """The network of a study, trained by `train` on its fold's own examples."""
    setting, lane = study.settings[recipe], study.source.folds[seed * study.n_folds + fold]
    return jn.train(
        setting.network, lane.of(study.source.data), setting.recipe,
        epochs=study.history.training_cost.shape[-1], batch_size=setting.batch_size,
        seed=int(study.seeds[seed]), evaluate_on=("validation", "test"), **options,
    )  # fmt: skip


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("n_in", "standardize"),
    [
        (4, True), (200, False),
        pytest.param(4, False, marks=pytest.mark.exhaustive),
        pytest.param(200, True, marks=pytest.mark.exhaustive),
    ],
)  # fmt: skip
def test_a_folds_network_is_the_one_trained_on_it_alone(standardize, n_in):
    x = RANDOM.normal(2.0, 3.0, (N, n_in))
    data = jn.Dataset(DATA.train._replace(x=x))
    net = dataclasses.replace(NET, sizes=(n_in, 15, 3))
    recipe = jn.Recipe(jn.momentum([0.01, 0.02, 0.03, 0.04]), l2=0.5)
    assert (first_layer.span_steps(net, recipe, 5, 4) > 0) == (n_in == 200)
    study = jn.sweep(
        net, data, recipe, seeds=2, epochs=3, batch_size=5, resample=FOLDS,
        standardize=standardize, metrics={"auc": jn.metrics.roc_auc}, log=None,
    )  # fmt: skip
    assert study.axes == ("recipe", "seed", "fold", "epoch")
    assert study.score.shape == study.epochs.shape == (4, 2, 3)
    for recipe, seed, fold in ((0, 0, 0), (3, 1, 1), (1, 0, 2)):
        run = _alone(study, recipe, seed, fold, metrics={"auc": jn.metrics.roc_auc})
        for name, curve in run.history.curves.items():
            lane = study.history.curves[name][recipe, seed, fold]
            np.testing.assert_allclose(lane, curve, 1e-9, 1e-12, err_msg=name)
        assert study.best_epoch[recipe, seed, fold] == run.best_epoch
        score = run.history.metrics["test_accuracy"][run.best_epoch - 1]
        np.testing.assert_allclose(study.score[recipe, seed, fold], score, 1e-9)
        for trained, alone in zip(
            study.run(recipe, seed, fold).best_params, run.best_params, strict=True
        ):
            np.testing.assert_allclose(trained.w, alone.w, 1e-9, 1e-12)
        again = study.replay(recipe, seed, fold, alone=True)
        np.testing.assert_allclose(again.params[0].w, run.params[0].w, 1e-9, 1e-12)


def _parts(optimizer):
    """Parts of a recipe that go with an optimizer; the next test has all of them."""
    parts = {"l2": 0.5, "label_smoothing": 0.1}
    if not optimizer.differentiable:  # its line search decides by rounding, where there is noise
        parts = {"l2": 0.5}
    elif optimizer.evaluation is None:
        parts["max_norm"] = 2.0
    return parts


LINE_SEARCHES = ("lbfgs", "newton_cg")
"""They decide by rounding: one step in full batches is compared, instead of 200 in small ones."""
DRAWN_FOR_A_BATCH = ("dropout", "input_dropout", "augmentation")
"""Parts whose draws depend on the program's batch size: lanes of one batch size share it."""
SIMILAR_STEPS = ("schedule",)
"""Parts that count epochs in steps: folds of as many steps share a program."""
PARTS_HERE = {
    "augmentation": jn.Augmentation(shift=1, shape=(2, 2)),
    "l1": 0.02,  # few weights reach 0, about which their signs are a matter of rounding
    "schedule": jn.schedules.cosine(101),
    "stopping": jn.stopping.reduce_on_plateau(5, floor=1e-6, split="training"),  # none stops
}
"""Parts that fit this data and its many epochs."""
REPRESENTATIVES = ("momentum", "schedule_free_adam", "lbfgs")
GROUPS = (
    ("dropout",), ("input_dropout", "augmentation"), ("schedule",), ("stopping", "normalization"),
    ("optimizer", "l2", "l1", "max_norm", "label_smoothing", "init_scale"),
)  # fmt: skip
"""Parts of a recipe that go together."""


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", representatives(optimizers.NAMED, *REPRESENTATIVES))
def test_lanes_of_different_sizes_batches_weights_folds_and_masks_share_a_program(name):
    """Three folds, batches of 6 and 3, three widths, half of a network's weights frozen."""
    optimizer = optimizers.NAMED[name]()
    recipe = jn.Recipe(optimizer, **_parts(optimizer))
    sizes = (61, 40, 7)
    if name in LINE_SEARCHES:
        _assert_mixed_lanes_are_those_alone(recipe, sizes, batch_sizes=sizes, at_least=1)
    else:
        _assert_mixed_lanes_are_those_alone(recipe, sizes, batch_sizes=(6, 6, 3), at_least=200)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("names", GROUPS, ids=" ".join)
@pytest.mark.parametrize("rule", representatives(("momentum", "adam"), "momentum"))
def test_lanes_with_every_part_of_a_recipe_share_a_program(rule, names):
    assert sorted(name for group in GROUPS for name in group) == sorted(PARTS)
    parts = {name: PARTS_HERE.get(name, PARTS[name][0]) for name in names}
    parts["optimizer"] = optimizers.NAMED[rule](0.02)
    sizes, batch_sizes = (61, 40, 7), (6, 6, 3)
    if names[0] in DRAWN_FOR_A_BATCH:
        batch_sizes = (6, 6, 6)
    if names[0] in SIMILAR_STEPS:
        sizes, batch_sizes = (61, 44, 11), (6, 4, 1)
    _assert_mixed_lanes_are_those_alone(jn.Recipe(**parts), sizes, batch_sizes, at_least=200)


def _assert_mixed_lanes_are_those_alone(recipe, fold_sizes, batch_sizes, at_least):
    """Train lanes of three folds in one program, and each alone: the weights are equal to 1e-9.

    Each lane is trained for `at_least` steps or more.
    """
    folds = [
        LaneFold(str(size), Fold(np.arange(start, start + size), np.array([57])))
        for start, size in zip((0, 10, 50), fold_sizes, strict=True)
    ]
    # Dropout is drawn at true widths, and some rules depend on the number of units.
    shares_widths = can_pad(NET, recipe) and recipe.dropout is None
    widths = (15, 13, 16) if shares_widths else (15, 15, 15)
    nets = [dataclasses.replace(NET, sizes=(4, width, 3)) for width in widths]
    pairs = zip(nets[1].sizes, nets[1].sizes[1:])
    masks = [True, tuple(jn.Layer(RANDOM.random(pair) < 0.5, True) for pair in pairs), True]
    n_steps = [fold.n_steps(size) for fold, size in zip(folds, batch_sizes, strict=True)]
    epochs = -(-at_least // min(n_steps))
    evaluate_on = () if recipe.stopping is None else ("training",)
    spec = ChunkSpec(
        networks=tuple(nets), recipes=RecipeBatch.stacked([recipe] * 3), seeds=(7, 7, 7),
        program_network=program_network(nets, recipe), layouts=(Layout(0, 3, 1, (0, 1, 2)),),
        batch_size=max(batch_sizes), epochs=epochs, evaluate_on=evaluate_on, repack=False,
        keep_best=False, folds=tuple(folds), batch_sizes=tuple(batch_sizes),
        room=Room(N, 0, 1, max(n_steps)),
        starts=tuple(start for (start,) in lane_starts(nets, 1, None, masks)),
    )  # fmt: skip
    assert (spec.program_network != NET) == can_pad(NET, recipe)
    _, states = train_chunk(spec, DATA)
    for row, (net, fold, size) in enumerate(zip(nets, folds, batch_sizes, strict=True)):
        run = jn.train(
            net, fold.of(DATA), recipe, epochs=epochs, batch_size=size, seed=7,
            evaluate_on=evaluate_on, trainable=masks[row],
        )  # fmt: skip
        assert states.step[row] == epochs * n_steps[row]
        opt_state, params = jax.tree.map(
            lambda leaf, row=row: leaf[row], (states.opt_state, states.params)
        )
        own = trainable_masks(net, masks[row])
        evaluated = recipe.optimizer.evaluation_params(opt_state, params)
        params = where_trainable(own, *(unpad_params(net, tree) for tree in (evaluated, params)))
        for layer, alone in zip(params, run.params, strict=True):
            np.testing.assert_allclose(layer.w, alone.w, 1e-9, 1e-9)
            np.testing.assert_allclose(layer.b, alone.b, 1e-9, 1e-9)


def test_what_is_scored_steers_nothing():
    """Other test labels change no weight; nor does a rule look at them."""
    recipe = jn.Recipe(jn.sgd([0.1, 0.2]), stopping=jn.stopping.no_improvement_in(1))
    folds = FOLDS.folds(DATA.train)
    y = np.array(DATA.train.y)
    y[folds[0].test] = (y[folds[0].test] + 1) % 3
    studies = [
        jn.sweep(NET, DATA._replace(train=DATA.train._replace(y=labels)), recipe, epochs=5,
                 resample=folds[:1], log=None)
        for labels in (DATA.train.y, y)
    ]  # fmt: skip
    assert not np.array_equal(studies[0].score, studies[1].score)
    for name in CURVES:
        np.testing.assert_array_equal(*(getattr(study.history, name) for study in studies))
    np.testing.assert_array_equal(studies[0].params(1, 0, 0)[0].w, studies[1].params(1, 0, 0)[0].w)
    with pytest.raises(ValueError, match="no validation set"):
        jn.sweep(NET, DATA, recipe, resample=jn.resampling.k_fold(3), log=None)


def test_a_study_with_folds_goes_on_and_grows_to_the_same_bits(tmp_path):
    recipe = jn.Recipe(jn.adam([0.01, 0.02]), dropout=0.2)
    options = {"resample": FOLDS, "standardize": True, "batch_size": 7, "log": None}
    whole = jn.sweep(NET, DATA, recipe, seeds=2, epochs=4, folder=tmp_path / "whole", **options)
    jn.sweep(NET, DATA, recipe, seeds=2, epochs=2, folder=tmp_path / "parts", **options)
    study = jn.sweep(NET, DATA, recipe, seeds=2, epochs=4, folder=tmp_path / "parts", **options)
    for curve, expected in zip(
        jax.tree.leaves(study.history), jax.tree.leaves(whole.history), strict=True
    ):
        np.testing.assert_array_equal(curve, expected)
    for layer, expected in zip(study.params(1, 1, 2), whole.params(1, 1, 2), strict=True):
        np.testing.assert_array_equal(layer.w, expected.w)
    np.testing.assert_array_equal(whole.replay(0, 1, 1).params[0].w, whole.params(0, 1, 1)[0].w)
    rows = list(study.rows())
    assert len(rows) == 2 * 2 * 3 * 4
    assert {row["fold"] for row in rows} == {0, 1, 2}
    other = options | {"resample": jn.resampling.k_fold(3, valid=0.2, seed=1)}
    more = jn.sweep(NET, DATA, recipe, epochs=4, folder=tmp_path / "whole", **other)
    assert more.epochs.shape == (2, 1, 3)


def test_a_schedule_in_epochs_has_each_folds_own_steps():
    rows = [np.arange(40), np.arange(21)]
    recipe = jn.Recipe(jn.sgd([0.1, 0.2]), schedule=jn.schedules.cosine(3))
    with jax.enable_x64(True):
        study = jn.sweep(
            NET, DATA, recipe, epochs=3, batch_size=4, log=None,
            resample=[(part, np.arange(50, N)) for part in rows],
        )  # fmt: skip
        for fold, part in enumerate(rows):
            alone = jn.train(
                NET, jn.Dataset(DATA.train.take(part)), study.settings[1].recipe, epochs=3,
                batch_size=4, evaluate_on=("training",),
            )  # fmt: skip
            np.testing.assert_allclose(study.params(1, 0, fold)[0].w, alone.params[0].w, 1e-9)


def test_cross_validation_predicts_each_example_by_others():
    data = jn.datasets.arrays(np.eye(12), np.arange(12) % 2)  # nothing can be learned of others
    net = jn.Network((12, 2), cost=jn.costs.LogLikelihood())
    result = jn.cross_validate(
        net, data, jn.Recipe(jn.sgd(1.0)), jn.resampling.k_fold(4), epochs=20, seeds=2, batch_size=3
    )
    assert result.scores.shape == (2, 4)
    np.testing.assert_allclose(result.mean, result.scores.mean())
    np.testing.assert_allclose(result.sd, result.scores.std(ddof=1))
    lane = result.study.source.folds[0]
    run = result.study.run(0, 0, 0)
    other = result.study.run(0, 1, 0)
    expected = [jn.predict(net, r.best_params, data.train.x[lane.fold.test]) for r in (run, other)]
    np.testing.assert_allclose(result.predictions[lane.fold.test], np.mean(expected, axis=0), 1e-5)
    with pytest.raises(ValueError, match="takes one recipe"):
        jn.cross_validate(net, data, jn.Recipe(jn.sgd([0.1, 0.2])), jn.resampling.k_fold(2))


def test_cross_validation_scores_a_metric_as_scikit_learn_does():
    x = RANDOM.standard_normal((90, 2))
    y = (x[:, 0] + RANDOM.standard_normal(90) > 0).astype(int)
    folds = list(StratifiedKFold(3).split(x, y))
    net = jn.Network((2, 5, 1))
    validate = functools.partial(
        jn.cross_validate, net, jn.datasets.arrays(x, y), jn.Recipe(jn.adam(0.05)), folds, epochs=3,
        metrics={"auc": jn.metrics.roc_auc, "loss": jn.metrics.log_loss},
    )  # fmt: skip
    auc, loss = validate(select_by="auc"), validate(select_by="loss")
    assert (auc.study.ranked_by, loss.study.ranked_by) == ("test_auc", "test_loss")
    for result, score, sign in ((auc, roc_auc_score, 1), (loss, log_loss, -1)):
        outputs = result.predictions[:, 0]
        expected = [sign * score(y[rows], outputs[rows]) for _, rows in folds]
        np.testing.assert_allclose(result.scores[0], expected, rtol=1e-5)
        np.testing.assert_allclose(result.mean, np.mean(expected), rtol=1e-5)
    recorded = auc.study.history.metrics["test_loss"][0, 0, :, -1]
    np.testing.assert_allclose(-recorded, loss.scores[0], rtol=1e-6)


def test_cross_validation_starts_from_parameters_and_trains_some():
    params = jn.init(NET, jax.random.key(3))
    result = jn.cross_validate(
        NET, DATA, jn.Recipe(jn.sgd(0.5)), jn.resampling.k_fold(2), epochs=2, params=params,
        trainable=(False, True),
    )  # fmt: skip
    for fold in range(2):
        first, last = result.study.params(0, 0, fold)
        np.testing.assert_array_equal(first.w, params[0].w)
        assert np.all(last.b != params[1].b)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"standardize": True}, "standardize belongs to the folds"),
        ({"resample": FOLDS, "examples": 10}, "examples does not go together"),
        ({"resample": FOLDS, "batch_size": 50}, "batch_size must be in"),
    ],
)
def test_what_does_not_go_with_folds_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        jn.sweep(NET, DATA, jn.Recipe(jn.sgd(0.1)), log=None, **options)


def test_numbers_to_predict_are_swept_over_folds():
    y = DATA.train.x[:, 0].astype(float)
    net = jn.Network((DATA.train.x.shape[1], 4, 1), cost=jn.costs.Quadratic(jn.activations.linear))
    study = jn.sweep(
        net, jn.Dataset(jn.Split(DATA.train.x, y)), jn.Recipe(jn.adam([0.01, 0.1]), l2=0.5),
        resample=jn.resampling.k_fold(3), epochs=2, evaluate_on=(), log=None,
    )  # fmt: skip
    assert study.ranked_by == "test_data_cost"
    for fold in range(study.n_folds):
        test = study.source.folds[fold].of(study.source.data).test
        cost = float(jn.evaluate(net, study.params(1, 0, fold), test).cost)
        assert -study.score[1, 0, fold] == pytest.approx(cost, rel=1e-5)
