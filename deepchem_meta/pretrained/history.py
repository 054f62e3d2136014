"""Trains an encoder further on a user's own assays."""

from __future__ import annotations

import os
import time
from pathlib import Path

import keras
import numpy as np

from deepchem_meta.pretrained.encoder import AssayEncoder
from deepchem_meta.tasks import AssayTasks, Standardizer
from deepchem_meta.tasks._text_tables import read_cells

__all__ = ["history_columns", "with_history"]

_STEPS = 300
_TASKS = 8  # a meta-step
_RATE = 1e-4
_LISTED = 5  # unreadable rows that are remembered


def with_history(
    encoder: AssayEncoder,
    path: str | os.PathLike,
    task_type: str,
    *,
    seed: int = 0,
    verbose: int | str = 0,
) -> AssayEncoder:
    """Return an encoder that is trained further on a history of assays.

    The nets and the Gaussian process are trained together, for 300 meta-steps of 8 assays, by how
    well the process predicts some compounds of an assay from others. The encoder that is given is
    left as it is. With 38 assays this takes 2 to 5 minutes on two busy cores.

    Parameters
    ----------
    encoder : AssayEncoder
    path : path
        A CSV file with a row a result, and the columns ``assay``, ``smiles`` and ``active`` (0 or
        1) or ``value``, in small or capital letters. Values count relative to their assay alone,
        on any scale; as in the support set, more must be better. Assays of fewer than 8 compounds,
        or of fewer than 4 of a class, and rows that cannot be read are left out.
        ``about["history"]`` of the result counts what was used and what was left out, and has the
        ``seconds`` that it took and the first 5 ``unreadable_rows``: line, SMILES and reason.
    task_type : {"classification", "regression"}
        Which of the columns to take: ``active`` or ``value``.
    seed : int, default 0
    verbose : {"auto", 0, 1, 2}, default 0
        Whether to show progress, as in `fit`.

    Returns
    -------
    AssayEncoder

    Raises
    ------
    ValueError
        If the file is not as described, or no assay is left.
    """
    started = time.perf_counter()
    tasks = _read(encoder, path, task_type)
    copy = AssayEncoder(encoder.featurizer, encoder.nets, encoder.about, encoder.heads)
    rate = keras.optimizers.schedules.CosineDecay(_RATE, _STEPS)
    optimizer = keras.optimizers.AdamW(rate)
    options = {"meta_batch_size": _TASKS, "optimizer": optimizer, "seed": seed, "kernel_steps": 0}
    process = copy.process(task_type, tasks=tasks, **options)
    process.fit(_STEPS, verbose=verbose)
    copy.heads[task_type] = process.hyperparameters
    copy.about["history"] = {
        "assays": len(tasks.names),
        "molecules": int(np.size(tasks.molecules)),
        "too_small": len(tasks.dropped),
        "unreadable": len(tasks.dropped_rows),
        "unreadable_rows": [list(row) for row in tasks.dropped_rows[:_LISTED]],
        "seconds": time.perf_counter() - started,
    }
    return copy


def history_columns(path: str | os.PathLike, task_type: str) -> dict[str, str]:
    """Return which columns of a history have the assays, SMILES and results, or raise.

    Parameters
    ----------
    path : path
    task_type : {"classification", "regression"}

    Returns
    -------
    dict
        The file's names of ``assay``, ``smiles`` and ``value``.
    """
    value = "active" if task_type == "classification" else "value"
    columns = read_cells(Path(path), "smiles", None, None).columns
    found = {name.casefold(): name for name in reversed(columns)}
    if not {"assay", "smiles", value} <= set(found):
        kind = "labels" if task_type == "classification" else "values"
        raise ValueError(
            f"{path}: a history must have the columns assay, smiles and {value}, since {kind} were "
            f"measured. Received: {', '.join(columns)}"
        )
    return {"assay": found["assay"], "smiles": found["smiles"], "value": found[value]}


def _read(encoder: AssayEncoder, path: str | os.PathLike, task_type: str) -> AssayTasks:
    """Return the tasks of a history."""
    shots = (2, 4, 8) if task_type == "classification" else (4, 8, 16)
    return AssayTasks.from_long_csv(
        path,
        **history_columns(path, task_type),
        featurizer=encoder.featurizer,
        standardizer=Standardizer(),
        on_error="drop",
        qualifiers="bound",
        task_type=task_type,
        shots=shots,
        queries=shots[0],
        drop_small=True,
    )
