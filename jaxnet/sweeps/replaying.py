"""Train a network of a study again, in a program of the size that it had in the sweep."""

from collections.abc import Collection
from dataclasses import replace

from jaxnet.core.dtypes import computing_in
from jaxnet.core.types import Dataset
from jaxnet.sweeps.chunk import ChunkSpec, train_chunk
from jaxnet.sweeps.chunk_params import ChunkParams, chunk_params
from jaxnet.sweeps.folds import fold_of_first, room_for, room_for_first
from jaxnet.sweeps.recipe_batch import RecipeBatch
from jaxnet.sweeps.source import Source
from jaxnet.sweeps.starts import stacked_masks
from jaxnet.sweeps.store import Lane, Setting, first_examples


def replayed_params(
    source: Source,
    data: Dataset,
    setting: Setting,
    lane: Lane,
    seed: int,
    epochs: int,
    numbers: Collection[int],
) -> ChunkParams:
    """The parameters of a network that is trained again, to the same bits.

    Args:
      source: the origin of the study's results.
      data: the splits.
      setting: the network's setting.
      lane: the network.
      seed: its seed.
      epochs: how many epochs it had.
      numbers: the numbers of training examples of all settings with its batch size.

    Returns:
      The parameters as a chunk with one row, with those of the best epoch.
    """
    with computing_in(source.dtype):
        spec = _replay_spec(source, setting, lane, seed, epochs, numbers)
        has_own_number = spec.room is not None and spec.room.ends_early
        n_train = max(numbers) if has_own_number else setting.examples
        states = train_chunk(spec, first_examples(data, n_train)).states
        masks = stacked_masks(spec.starts, spec.program_network)
        return chunk_params(setting.recipe.optimizer, masks, states)


def _replay_spec(
    source: Source, setting: Setting, lane: Lane, seed: int, epochs: int, numbers: Collection[int]
) -> ChunkSpec:
    """The spec that trains this lane alone, in the slots that it had in the sweep."""
    measured, folds, start = source.measured, source.folds, source.start(lane)
    index, row = source.row_by_lane[lane]
    record = source.records[index]
    schedule, monitors = setting.recipe.schedule, measured.monitors
    if folds is None:
        room = room_for_first(numbers, setting.batch_size, schedule, monitors)
        fold = None if room is None else fold_of_first(setting.examples)
    else:
        fold = folds[lane[1]]
        room = room_for(folds, fold, setting.batch_size, schedule, monitors)
    recipes = RecipeBatch.stacked([setting.recipe])
    if not record.result.has_own_inputs:
        recipes = recipes.with_shared_inputs()
    return ChunkSpec(
        networks=(setting.network,),
        recipes=recipes,
        seeds=(seed,),
        program_network=replace(setting.network, sizes=record.program_sizes),
        layouts=tuple(slot.single_lane_layout() for slot in record.result.slots[row]),
        batch_size=setting.batch_size,
        epochs=epochs,
        evaluate_on=measured.evaluate_on,
        repack=False,
        keep_best=True,
        metrics=measured.metrics,
        monitors=measured.monitors,
        criterion=measured.best_by(setting.recipe.stopping),
        order=source.order,
        folds=None if fold is None else (fold,),
        batch_sizes=None if fold is None else (setting.batch_size,),
        room=room,
        starts=None if start is None else (start,),
    )
