"""Trains an encoder further on a user's own assays."""

from __future__ import annotations

import os
from pathlib import Path

import keras
import numpy as np

from deepchem_meta.pretrained.encoder import AssayEncoder
from deepchem_meta.tasks import AssayTasks, Standardizer
from deepchem_meta.tasks._text_tables import read_cells

__all__ = ["with_history"]

_STEPS = 300
_TASKS = 8  # a meta-step
_RATE = 1e-4


def with_history(
    encoder: AssayEncoder, path: str | os.PathLike, task_type: str, *, seed: int = 0
) -> AssayEncoder:
    """Return an encoder that is trained further on a history of assays.

    The nets and the Gaussian process are trained together, for 300 meta-steps of 8 assays, by how
    well the process predicts some compounds of an assay from others. The encoder that is given is
    left as it is.

    Parameters
    ----------
    encoder : AssayEncoder
    path : path
        A CSV file with a row a result, and the columns ``assay``, ``smiles`` and ``active`` (0 or
        1) or ``value``. Assays of fewer than 8 compounds, or of fewer than 4 of a class, and rows
        that cannot be read are left out. ``about["history"]`` of the result counts what was used
        and what was left out.
    task_type : {"classification", "regression"}
        Which of the columns to take.
    seed : int, default 0

    Returns
    -------
    AssayEncoder

    Raises
    ------
    ValueError
        If the file is not as described, or no assay is left.
    """
    value = "active" if task_type == "classification" else "value"
    columns = read_cells(Path(path), "smiles", None, None).columns
    wrong = [name for name in ("assay", "smiles", value) if name not in columns]
    if wrong:
        raise ValueError(
            f"{path}: a history must have the columns assay, smiles and {value}. "
            f"Received: {', '.join(columns)}"
        )
    shots = (2, 4, 8) if task_type == "classification" else (4, 8, 16)
    tasks = AssayTasks.from_long_csv(
        path,
        value=value,
        featurizer=encoder.featurizer,
        standardizer=Standardizer(),
        on_error="drop",
        qualifiers="bound",
        task_type=task_type,
        shots=shots,
        queries=shots[0],
        drop_small=True,
    )
    copy = AssayEncoder(encoder.featurizer, encoder.nets, encoder.about, encoder.heads)
    rate = keras.optimizers.schedules.CosineDecay(_RATE, _STEPS)
    optimizer = keras.optimizers.AdamW(rate)
    options = {"meta_batch_size": _TASKS, "optimizer": optimizer, "seed": seed, "kernel_steps": 0}
    process = copy.process(task_type, tasks=tasks, **options)
    process.fit(_STEPS, verbose=0)
    copy.heads[task_type] = process.hyperparameters
    copy.about["history"] = {
        "assays": len(tasks.names),
        "molecules": int(np.size(tasks.molecules)),
        "too_small": len(tasks.dropped),
        "unreadable": len(tasks.dropped_rows),
    }
    return copy
