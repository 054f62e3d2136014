"""Trains an encoder further on a user's own assays."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from deepchem_meta.pretrained.encoder import AssayEncoder
from deepchem_meta.tasks import AssayTasks, Standardizer
from deepchem_meta.tasks._long_tables import read_long_csv
from deepchem_meta.tasks._molecule_tables import DroppedRow
from deepchem_meta.tasks._text_tables import read_cells
from deepchem_meta.tasks.molecules import canonical_smiles, read_standard, refuse_unreadable

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
        on any scale; as in the support set, more must be better. Concentrations must be negative
        logarithms: a column of units is refused. Assays of fewer than 8 compounds, or of fewer
        than 4 of a class, and rows that cannot be read, or whose molecule has more than 150 atoms
        without hydrogens, are left out.
    task_type : {"classification", "regression"}
        Which of the columns to take: ``active`` or ``value``.
    seed : int, default 0
    verbose : {"auto", 0, 1, 2}, default 0
        Whether to show progress, as in `fit`.

    Returns
    -------
    AssayEncoder
        Whose ``about["history"]`` has the numbers of ``assays``, ``molecules`` and assays that are
        ``too_small``; of results that were ``merged``, of the molecules whose results differ,
        ``contradicting``, and of results with a sign such as ">", ``qualified``; the ``range`` of
        values, None of labels; how many rows are ``unreadable``, the first 5 ``unreadable_rows``
        (line, SMILES and reason); and the ``seconds`` that it took.

    Raises
    ------
    ValueError
        If the file is not as described, or no assay is left.
    """
    started = time.perf_counter()
    read = _read(encoder, path, task_type)
    tasks = read.tasks
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
        "merged": int(tasks.merged.rows),
        "contradicting": sum(tasks.merged.conflicts.values()),
        "qualified": read.qualified,
        "range": read.range,
        "unreadable": len(read.dropped),
        "unreadable_rows": [list(row) for row in read.dropped[:_LISTED]],
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
    units = [name for name in found if {"unit", "units"} & set(re.findall("[a-z]+", name))]
    if units and task_type == "regression":
        raise ValueError(
            f"{path}: of the values of a history more must be better, as of negative logarithms "
            "of concentrations; leave out a column of units if they are such. Received: the column "
            f"{found[units[0]]!r}"
        )
    return {"assay": found["assay"], "smiles": found["smiles"], "value": found[value]}


class _Read(NamedTuple):
    """The tasks of a history, the rows that are left out, and what is said of its results."""

    tasks: AssayTasks
    dropped: list[DroppedRow]
    qualified: int
    range: list[float] | None


def _read(encoder: AssayEncoder, path: str | os.PathLike, task_type: str) -> _Read:
    """Return the tasks of a history."""
    options = {"encoding": None, "delimiter": None, "na_values": (), "qualifiers": "bound"}
    table = read_long_csv(path, **history_columns(path, task_type), **options)
    names = list(dict.fromkeys(table.smiles))
    molecules, reasons = read_standard(names, Standardizer())
    wrong = {names[place]: reason for place, reason in reasons.items()}
    bad = {n: wrong[text] for n, text in enumerate(table.smiles) if text in wrong}
    if len(bad) == len(table.smiles):
        refuse_unreadable(table.smiles, bad, table.lines)
    good = [name for name in names if name not in wrong]
    standard = canonical_smiles(m for n, m in enumerate(molecules) if n not in reasons)
    known = dict(zip(good, standard, strict=True))
    kept = [n for n in range(len(table.smiles)) if n not in bad]
    shots = (2, 4, 8) if task_type == "classification" else (4, 8, 16)
    tasks = AssayTasks.from_results(
        [table.assays[n] for n in kept],
        [known[table.smiles[n]] for n in kept],
        table.values[kept],
        lines=[table.lines[n] for n in kept],
        featurizer=encoder.featurizer,
        task_type=task_type,
        shots=shots,
        queries=shots[0],
        drop_small=True,
    )
    dropped = [DroppedRow(table.lines[n], table.smiles[n], bad[n]) for n in bad]
    values = table.values[~np.isnan(table.values)]
    labels = task_type == "classification"
    between = None if labels else [float(values.min()), float(values.max())]
    return _Read(tasks, dropped, sum(table.qualified.values()), between)
