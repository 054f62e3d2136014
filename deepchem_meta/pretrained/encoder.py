"""Encoders of molecules: a featurizer, and nets whose outputs stand side by side."""

from __future__ import annotations

import importlib
import inspect
import json
import math
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from deepchem_meta._checks import check_count, check_option
from deepchem_meta._replacing import replacing
from deepchem_meta.metalearning import GaussianProcessHead, KerasLearner
from deepchem_meta.tasks import AssayTasks, Featurizer, MoleculeFeatures
from deepchem_meta.tasks import embed as embed_tasks
from deepchem_meta.tasks.featurizers import featurizer_from_config

__all__ = ["AssayEncoder", "make_net"]

_FORMAT = 1  # of the file
_KERNEL = ("rbf", "linear")
# How the kernel is adapted to an assay: the noise of values differs more than that of labels.
# After so many steps the marginal likelihood no longer grows; a fifth of the way was too little for
# assays of many compounds (a mean R² of 0.27 from 128, and 0.36).
_ADAPTATION = {
    "classification": {"kernel_steps": 0},
    "regression": {"kernel_steps": 100, "kernel_rate": 1.0},
}


class _OtherFormatError(ValueError):
    """The file is of another version of the format."""


class AssayEncoder:
    """What many assays say of a molecule, as an embedding.

    Parameters
    ----------
    featurizer : Featurizer
        Fitted, if it needs to be.
    nets : list of keras.Model
        Each a functional model of one input of shape (molecules, features) and one output.
    about : dict, optional
        What it was trained on and what it scores: strings, numbers, lists and dicts.
    heads : dict of str to dict, optional
        The hyperparameters of the Gaussian process on the embedding, by "classification" and
        "regression"; see `calibrate`.

    Attributes
    ----------
    featurizer : Featurizer
    model : keras.Model
        All nets on one input; its output is the embedding, float32 of shape (molecules, size).
    size : int
        The length of an embedding.
    nets : list of keras.Model
        Copies of those that were given.
    about, heads : dict
    """

    def __init__(
        self,
        featurizer: Featurizer,
        nets: Sequence[keras.Model],
        about: dict | None = None,
        heads: dict[str, dict[str, float]] | None = None,
    ):
        self.featurizer = featurizer
        self.about, self.heads = dict(about or {}), dict(heads or {})
        self.nets = [_named(net, f"net_{n}") for n, net in enumerate(nets)]
        self.model = _side_by_side(featurizer.size, self.nets)
        self.size = int(self.model.output.shape[1])

    def embed(self, molecules: Any, batch_size: int = 1024) -> np.ndarray:
        """Return the embeddings of molecules.

        Parameters
        ----------
        molecules : list of str, or array of shape (molecules, features)
            SMILES, or what `featurizer` made of them: an array or `MoleculeFeatures`.
        batch_size : int, default 1024
            How many molecules to compute at once.

        Returns
        -------
        float32 array of shape (molecules, size)

        Raises
        ------
        ValueError
            If a SMILES cannot be read.
        """
        check_count("batch_size", batch_size, minimum=1)
        arrays = isinstance(molecules, (np.ndarray, MoleculeFeatures))
        parts = [np.zeros((0, self.size), np.float32)]
        for start in range(0, len(molecules), batch_size):
            rows = slice(start, start + batch_size)
            if arrays:
                x = molecules[np.arange(*rows.indices(len(molecules)))]
            else:
                x = self.featurizer(molecules[rows])
            parts.append(self.model(x, training=False).numpy())
        return np.concatenate(parts)

    def joined(self, *others: AssayEncoder) -> AssayEncoder:
        """Return an encoder with the nets of this one and of others over the same featurizer."""
        config = self.featurizer.get_config()
        if any(other.featurizer.get_config() != config for other in others):
            raise ValueError(
                "Encoders must have the same featurizer to be joined. "
                f"Received: {[e.featurizer for e in (self, *others)]}"
            )
        nets = [net for encoder in (self, *others) for net in encoder.nets]
        return AssayEncoder(self.featurizer, nets, self.about)

    def process(
        self, task_type: str = "classification", *, embedded: bool = False, **options: Any
    ) -> GaussianProcessHead:
        """Return a Gaussian process on the embedding, to adapt to the compounds of an assay.

        Parameters
        ----------
        task_type : {"classification", "regression"}, default "classification"
            Whether results are inactive and active, 0 and 1, or values.
        embedded : bool, default False
            Whether it takes what `embed` gives, rather than features.
        **options
            Those of `GaussianProcessHead`, to train it further; `tasks`, an `AssayTasks` over
            `featurizer`, is the learner's. For values the kernel is adapted to each assay by
            default: ``kernel_steps=100, kernel_rate=1.0``.

        Returns
        -------
        GaussianProcessHead
            Over a `KerasLearner`, with the hyperparameters of `heads` if there are any.
        """
        inputs = keras.Input((self.size,)) if embedded else self.model.input
        features = inputs if embedded else self.model.output
        return _process(inputs, features, task_type, self.heads.get(task_type), **options)

    def calibrate(self, tasks: AssayTasks, *, steps: int = 500, seed: int = 0) -> None:
        """Learn the hyperparameters of the Gaussian process, and leave the nets as they are.

        On assays that the encoder was not trained on, the probabilities and intervals then say how
        far they are to be trusted.

        Parameters
        ----------
        tasks : AssayTasks
            Held-out assays over `featurizer`. Its `task_type` says which head is meant.
        steps : int, default 500
            Meta-steps of 8 tasks.
        seed : int, default 0
        """
        adam = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.1, steps))
        options = {"meta_batch_size": 8, "optimizer": adam, "seed": seed, "kernel_steps": 0}
        embedded = embed_tasks(self.model, tasks)
        process = self.process(tasks.task_type, embedded=True, tasks=embedded, **options)
        process.fit(steps, verbose=0)
        self.heads[tasks.task_type] = process.hyperparameters

    def held_out(self, task_type: str, shots: int) -> dict[str, Any]:
        """Return how well rankings were on assays that the encoder was not trained on.

        Parameters
        ----------
        task_type : {"classification", "regression"}
        shots : int
            How many compounds were measured.

        Returns
        -------
        dict
            ``shots``, the nearest number that was tried; and by measure the quartiles over assays,
            ``{"roc_auc": [0.61, 0.70, 0.79], ...}``. It is empty where nothing is known.
        """
        tried = self.about.get("held_out", {}).get(task_type, {})
        if not tried:
            return {}
        nearest = min(tried, key=lambda text: abs(math.log(int(text) / shots)))
        return {"shots": int(nearest), **tried[nearest]}

    def save(self, path: str | os.PathLike) -> None:
        """Write the encoder to a file.

        Kernels are stored as integers of 8 bits, with a scale for each unit, and other weights as
        they are. On FS-Mol's encoder that changes an embedding by 2% and no score by 0.001.

        Parameters
        ----------
        path : path
            A file whose name ends in .npz; one that is there is replaced.
        """
        path = _check_path(path)
        head = {
            "format": _FORMAT,
            "about": self.about,
            "heads": self.heads,
            "featurizer": self.featurizer.get_config(),
            "nets": [net.get_config() for net in self.nets],
        }
        arrays = {
            f"net{n}_{k}_{name}": part
            for n, net in enumerate(self.nets)
            for k, value in enumerate(net.get_weights())
            for name, part in _packed(value).items()
        }
        text = np.frombuffer(json.dumps(head).encode(), np.uint8)
        with replacing(path) as (part,), part.open("wb") as file:
            np.savez_compressed(file, head=text, **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike) -> AssayEncoder:
        """Read an encoder that `save` has written.

        Raises
        ------
        ValueError
            If the file is no encoder, is damaged, is of another version of the format, or needs
            what an older RDKit or Keras does not have.
        """
        path = _check_path(path)
        try:
            with path.open("rb") as opened, np.load(opened) as file:
                arrays = dict(file)
            head = json.loads(arrays.pop("head").tobytes())
            if head["format"] != _FORMAT:
                raise _OtherFormatError(
                    f"The encoder must be of format {_FORMAT}, that of this version of the "
                    f"package. Received: format {head['format']} in {path}"
                )
            nets = [_read_net(config, arrays, n) for n, config in enumerate(head["nets"])]
            featurizer = featurizer_from_config(head["featurizer"])
            return cls(featurizer, nets, head["about"], head["heads"])
        except (FileNotFoundError, _OtherFormatError):
            raise
        except (
            zipfile.BadZipFile,
            LookupError,
            AttributeError,
            ValueError,
            TypeError,
            EOFError,
            OSError,
        ) as error:
            raise ValueError(
                f"`path` must be a file that `AssayEncoder.save` has written. Received: {path}; "
                f"{str(error).strip().splitlines()[0] if str(error).strip() else repr(error)}"
            ) from error

    def __repr__(self) -> str:
        return f"AssayEncoder({self.featurizer!r}, {len(self.nets)} nets, size={self.size})"


def _process(
    inputs: Any,
    features: Any,
    task_type: str,
    known: dict[str, float] | None,
    tasks: Any = None,
    **options: Any,
) -> GaussianProcessHead:
    """Return a process on a functional model's tensor, with known hyperparameters if any."""
    check_option("task_type", task_type, ("classification", "regression"))
    classes = task_type == "classification"
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True) if classes else "mse"
    embedding = keras.layers.Identity(name="embedding")(features)
    # A KerasLearner needs outputs that fit a loss, though the process uses neither.
    unused = keras.layers.Dense(2 if classes else 1, name="unused")(embedding)
    learner = KerasLearner(keras.Model(inputs, unused), loss, tasks, embedding="embedding")
    options = {"ways": 2 if classes else None, "kernel": _KERNEL} | options
    process = GaussianProcessHead(learner, **_ADAPTATION[task_type] | options)
    if known:
        process.hyperparameters = known
    return process


def make_net(features: int, widths: Sequence[int], dropout: float) -> keras.Model:
    """Return a dense net of layer normalisation, ReLU and Dropout, whose output is normalised.

    Parameters
    ----------
    features : int
        The size of the input.
    widths : list of int
        Units of the layers, of which the last one is the output.
    dropout : float
        The rate.
    """
    widths = [check_count("widths", width, minimum=1) for width in widths]
    x = inputs = keras.Input((features,))
    for width in widths[:-1]:
        x = keras.layers.LayerNormalization()(keras.layers.Dense(width)(x))
        x = keras.layers.Dropout(dropout)(keras.layers.Activation("relu")(x))
    x = keras.layers.LayerNormalization(dtype="float32")(keras.layers.Dense(widths[-1])(x))
    return keras.Model(inputs, x)


def _read_net(config: dict[str, Any], arrays: dict[str, np.ndarray], n: int) -> keras.Model:
    config = _known(config)
    for side in ("input_layers", "output_layers"):  # of Keras 3.3 a list of the one tensor
        (tensor,) = config[side] if len(config[side]) == 1 else [config[side]]
        config[side] = [tensor] if keras.__version__.startswith("3.3.") else tensor
    net = keras.Model.from_config(config)
    net.set_weights([_unpacked(arrays, f"net{n}_{k}_") for k in range(len(net.weights))])
    return net


def _known(config: Any) -> Any:
    """Return a configuration without settings that this Keras does not have and nobody has used.

    A newer Keras writes settings of its layers, None or False unless used, that an older one
    refuses.
    """
    if isinstance(config, list):
        return [_known(part) for part in config]
    if not isinstance(config, dict):
        return config
    parts = {name: _known(part) for name, part in config.items()}
    module, settings = parts.get("module"), parts.get("config")
    if not isinstance(settings, dict) or not str(module).startswith("keras."):
        return parts
    kinds = getattr(importlib.import_module(module), parts["class_name"]).__mro__
    names = {name for kind in kinds for name in inspect.signature(kind.__init__).parameters}
    used = {k: v for k, v in settings.items() if k in names or (v is not None and v is not False)}
    return parts | {"config": used}


def _packed(weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return a weight as it is stored: a kernel as integers and the scales of its units."""
    if weights.ndim < 2:
        return {"exact": weights.astype(np.float32)}
    scale = np.maximum(np.abs(weights).max(axis=0), 1e-12) / 127
    return {"units": np.round(weights / scale).astype(np.int8), "scale": scale.astype(np.float32)}


def _unpacked(arrays: dict[str, np.ndarray], key: str) -> np.ndarray:
    """Return a stored weight, float32."""
    if key + "exact" in arrays:
        return arrays[key + "exact"]
    return arrays[key + "units"].astype(np.float32) * arrays[key + "scale"]


def _named(net: keras.Model, name: str) -> keras.Model:
    """Return a copy under a name: in a model that holds several they must differ."""
    copy = keras.Model.from_config({**net.get_config(), "name": name})
    copy.set_weights(net.get_weights())
    return copy


def _side_by_side(features: int, nets: Sequence[keras.Model]) -> keras.Model:
    inputs = keras.Input((features,))
    outputs = [net(inputs) for net in nets]
    joined = outputs[0] if len(outputs) == 1 else keras.layers.Concatenate()(outputs)
    return keras.Model(inputs, joined)


def _check_path(path: Any) -> Path:
    if not isinstance(path, (str, os.PathLike)) or Path(path).suffix != ".npz":
        raise ValueError(f"`path` must be the name of a .npz file. Received: path={path!r}")
    return Path(path)
