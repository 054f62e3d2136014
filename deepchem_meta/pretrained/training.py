"""Trains an encoder of molecules on the results of many assays at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from deepchem_meta._checks import check_count, check_positive
from deepchem_meta.pretrained.encoder import AssayEncoder, make_net
from deepchem_meta.tasks import AssayTasks
from deepchem_meta.tasks.molecule_features import MoleculeFeatures

__all__ = ["train_encoder"]

_WARM_UP = 200  # steps in which the learning rate rises


def train_encoder(
    sources: AssayTasks | Sequence[AssayTasks],
    *,
    widths: Sequence[int] = (1024, 512, 256),
    dropout: float = 0.2,
    epochs: int = 20,
    batch_size: int = 1024,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-2,
    seed: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] | None = None,
    verbose: int | str = "auto",
) -> AssayEncoder:
    r"""Train a dense net to predict all assays of a history at once, and return its embedding.

    Each assay has a linear head of its own on the shared embedding, which is dropped at the end.
    The loss is the cross-entropy of each result of a classification source, and half the squared
    error of each result of a regression source, whose values are standardised within each assay
    and cut at 3 standard deviations. Optimizer: AdamW, with a cosine schedule.

    Parameters
    ----------
    sources : AssayTasks, or list of AssayTasks
        What was measured, of `from_long_csv`, `from_results` or `from_fs_mol`. Of several sources,
        such as labels and values of the same table, a molecule's features are those of the first
        that has it.
    widths : list of int, default (1024, 512, 256)
        Units of the layers; the last one is the embedding's size. Between them are layer
        normalisation, ReLU and Dropout.
    dropout : float, default 0.2
        The rate, at least 0 and below 1.
    epochs : int, default 20
        How often each molecule is seen.
    batch_size : int, default 1024
        Molecules of a step.
    learning_rate : float, default 1e-3
        The largest.
    weight_decay : float, default 1e-2
        AdamW's.
    seed : int, default 0
        Of weights, batches and Dropout.
    callbacks, verbose : optional
        As in ``keras.Model.fit``. An epoch is a pass over all molecules.

    Returns
    -------
    AssayEncoder

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.

    Examples
    --------
    >>> from deepchem_meta.pretrained import train_encoder
    >>> from deepchem_meta.tasks import AssayTasks, MorganCounts
    >>> smiles = ["C" * n + tail for n in range(1, 9) for tail in ("O", "N")]
    >>> active = [float("N" in one) for one in smiles]
    >>> history = AssayTasks.from_results(
    ...     ["amines"] * 16, smiles, active, featurizer=MorganCounts(64), shots=2, queries=2
    ... )
    >>> encoder = train_encoder(history, widths=(16, 8), epochs=2, verbose=0)
    >>> encoder.embed(["CCO"]).shape
    (1, 8)

    References
    ----------
    Formont, P., Jeannin, H., Piantanida, P., and Ben Ayed, I. (2024). A strong baseline for
    molecular few-shot learning. https://arxiv.org/abs/2404.02314
    """
    sources = _check_sources(sources)
    for name, value in (("epochs", epochs), ("batch_size", batch_size)):
        check_count(name, value, minimum=1)
    for name, value in (("learning_rate", learning_rate), ("weight_decay", weight_decay)):
        check_positive(name, value)
    keras.utils.set_random_seed(check_count("seed", seed))
    table = _Table(sources)
    featurizer = sources[0].x.featurizer
    net = make_net(featurizer.size, widths, dropout)
    batches = _Batches(table, batch_size, seed)
    steps = epochs * len(batches)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps, warmup_target=learning_rate, warmup_steps=min(_WARM_UP, steps // 2)
    )
    model = _with_heads(net, len(table.regression))
    model.compile(keras.optimizers.AdamW(rate, weight_decay=weight_decay), loss=_result_loss)
    model.fit(batches, epochs=epochs, callbacks=callbacks, verbose=verbose)
    about = {
        "molecules": table.molecules,
        "results": len(table.value),
        "assays": len(table.regression),
        "epochs": epochs,
    }
    return AssayEncoder(featurizer, [net], about)


class _Table:
    """The results of all sources, in the order of molecules.

    Attributes
    ----------
    molecules : int
        Different ones, over all sources.
    start : int array of shape (molecules + 1,)
        Where the results of each molecule start.
    assay : int32 array of shape (results,)
        The head of each result. An assay of two sources has two.
    value : float32 array of shape (results,)
        A label, or a standardised value.
    regression : bool array of shape (heads,)
        Which heads predict values.
    """

    def __init__(self, sources: Sequence[AssayTasks]):
        self._x = [source.x for source in sources]
        number: dict[str, int] = {}
        places = [[number.setdefault(one, len(number)) for one in s.ids] for s in sources]
        self.molecules = len(number)
        # Where each molecule's features are: the first source that has it, and the row in that.
        self._source = np.empty(self.molecules, np.int64)
        self._row = np.empty(self.molecules, np.int64)
        for place, rows in reversed(list(enumerate(places))):
            self._source[rows], self._row[rows] = place, np.arange(len(rows))
        parts, kinds = [], []
        for source, rows in zip(sources, places, strict=True):
            results, regression = source.results, source.task_type == "regression"
            value = _standardised(results) if regression else results.value
            head = results.assay + len(kinds)
            parts.append((np.array(rows)[results.compound], head, value))
            kinds += [regression] * len(source.names)
        molecule, head, value = (np.concatenate(column) for column in zip(*parts, strict=True))
        order = np.argsort(molecule, kind="stable")
        self.start = np.searchsorted(molecule[order], np.arange(self.molecules + 1))
        self.assay = head[order].astype(np.int32)
        self.value = value[order].astype(np.float32)
        self.regression = np.array(kinds)

    def features(self, molecules: np.ndarray) -> np.ndarray:
        """Return the features of molecules by their numbers, float32."""
        rows = np.empty((len(molecules), self._x[0].shape[1]), np.float32)
        for place, x in enumerate(self._x):
            here = self._source[molecules] == place
            if here.any():
                rows[here] = x[self._row[molecules[here]]]
        return rows


class _Batches(keras.utils.PyDataset):
    """Batches of molecules with all their results, shuffled anew in each epoch."""

    def __init__(self, table: _Table, size: int, seed: int):
        super().__init__()
        self._table, self._size = table, min(size, table.molecules)
        self._rng = np.random.default_rng(seed)
        self._order = self._rng.permutation(table.molecules)

    def __len__(self) -> int:
        return self._table.molecules // self._size

    def __getitem__(self, place: int) -> tuple:
        table = self._table
        molecules = self._order[place * self._size : (place + 1) * self._size]
        counts = table.start[molecules + 1] - table.start[molecules]
        # The place in the batch, and that in the table, of each result.
        owner = np.repeat(np.arange(len(molecules)), counts)
        first = np.cumsum(counts) - counts
        result = np.repeat(table.start[molecules] - first, counts) + np.arange(len(owner))
        x = table.features(molecules), owner.astype(np.int32), table.assay[result]
        regression = table.regression[table.assay[result]].astype(np.float32)
        return x, np.stack([table.value[result], regression], axis=1)

    def on_epoch_end(self) -> None:
        self._order = self._rng.permutation(self._table.molecules)


class _AssayHeads(keras.layers.Layer):
    """A linear function of the embedding for each assay, for pairs of molecule and assay."""

    def __init__(self, assays: int, **options: Any):
        super().__init__(dtype="float32", **options)
        self._assays = assays

    def build(self, shapes: Any) -> None:
        size = shapes[0][-1]
        start = keras.initializers.RandomNormal(0.8 / math.sqrt(size))
        self.kernel = self.add_weight((self._assays, size), start, name="kernel")
        self.bias = self.add_weight((self._assays,), "zeros", name="bias")

    def call(self, inputs: Any) -> Any:
        embedding, molecule, assay = inputs
        ops = keras.ops
        pairs = ops.take(embedding, molecule, axis=0) * ops.take(self.kernel, assay, axis=0)
        return ops.sum(pairs, axis=1) + ops.take(self.bias, assay)


def _with_heads(net: keras.Model, assays: int) -> keras.Model:
    """Return a model of molecules' features, and pairs of molecule and assay, to train."""
    inputs = [
        keras.Input((net.input.shape[1],)),
        keras.Input(batch_shape=(None,), dtype="int32"),
        keras.Input(batch_shape=(None,), dtype="int32"),
    ]
    predicted = _AssayHeads(assays)([net(inputs[0]), *inputs[1:]])
    return keras.Model(inputs, predicted)


def _result_loss(target: Any, predicted: Any) -> Any:
    """Return each result's cross-entropy, or half its squared error where the flag is 1."""
    ops = keras.ops
    value, regression = target[:, 0], target[:, 1]
    entropy = ops.softplus(predicted) - value * predicted
    return (1 - regression) * entropy + regression * 0.5 * ops.square(predicted - value)


def _standardised(results: Any) -> np.ndarray:
    """Return values less their assay's mean, over its standard deviation, cut at 3."""
    count = np.bincount(results.assay)
    mean = np.bincount(results.assay, results.value) / count
    apart = results.value - mean[results.assay]
    spread = np.sqrt(np.bincount(results.assay, apart**2) / count)
    return np.clip(apart / spread[results.assay], -3, 3)


def _check_sources(sources: Any) -> list[AssayTasks]:
    """Return sources as a list, or raise."""
    sources = [sources] if isinstance(sources, AssayTasks) else list(sources)
    stored = [isinstance(getattr(s, "x", None), MoleculeFeatures) for s in sources]
    if not sources or not all(stored):
        raise TypeError(
            "`sources` must be AssayTasks of from_long_csv, from_results or from_fs_mol, whose "
            f"featurizer is known. Received: {sources!r}"
        )
    first, known, adding = sources[0].x.featurizer, set(), []
    for source in sources:
        if not known.issuperset(source.ids):
            adding.append(source)
            known.update(source.ids)
    wrong = [s for s in adding if s.x.featurizer.get_config() != first.get_config()]
    if wrong:
        raise ValueError(
            "Those of `sources` with molecules that earlier ones have not must have the same "
            "fitted featurizer: pass the first one's `x.featurizer` to them. "
            f"Received: {first!r} and {wrong[0].x.featurizer!r}"
        )
    return sources
