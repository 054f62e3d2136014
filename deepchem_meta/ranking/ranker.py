"""Ranks a library of candidates by a few measured compounds."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras

from deepchem_meta._checks import check_option, check_rates
from deepchem_meta.pretrained import AssayEncoder, load
from deepchem_meta.pretrained.history import with_history
from deepchem_meta.ranking._library import Chunk, Library
from deepchem_meta.ranking._output import RankedRows
from deepchem_meta.ranking.measured import Measured, read_measured
from deepchem_meta.ranking.predictor import AssayPredictor, LeftOut, Predictions
from deepchem_meta.ranking.report import write_report
from deepchem_meta.tasks import Standardizer
from deepchem_meta.tasks._molecule_tables import DroppedRow

__all__ = ["DISSIMILAR", "Ranking", "rank"]

#: Below this Tanimoto similarity to all measured compounds, a candidate gets a warning.
DISSIMILAR = 0.25
_LISTED = 1000  # unreadable rows that are remembered


class Ranking(NamedTuple):
    """What `rank` has done.

    Attributes
    ----------
    output : Path
        The CSV file of candidates.
    report : Path or None
        The HTML page.
    measured : Measured
        The measured compounds, with what was merged and left out.
    left_out : LeftOut
        How well they are predicted from each other.
    held_out : dict
        How well such rankings were on assays that the encoder was not trained on: the number of
        measured compounds, ``shots``, and the quartiles of each measure over assays.
    history : dict or None
        How many ``assays`` and ``molecules`` of the history were learned from, how many assays were
        ``too_small``, and how many rows ``unreadable``.
    candidates : int
        The library's rows.
    unreadable : int
        How many could not be read.
    unreadable_rows : list of DroppedRow
        The first 1000 of them.
    dissimilar : int
        How many resemble none of the measured compounds.
    columns : list of str
        Those of the output, except for the last one, the rank.
    best : list of list of str
        The 50 best rows, except for their rank.
    seconds : float
    """

    output: Path
    report: Path | None
    measured: Measured
    left_out: LeftOut
    held_out: dict[str, Any]
    history: dict[str, int] | None
    candidates: int
    unreadable: int
    unreadable_rows: list[DroppedRow]
    dissimilar: int
    columns: list[str]
    best: list[list[str]]
    seconds: float


def rank(
    support: str | os.PathLike,
    candidates: str | os.PathLike,
    output: str | os.PathLike = "ranked.csv",
    *,
    report: str | os.PathLike | None = None,
    history: str | os.PathLike | None = None,
    smiles: str | None = None,
    result: str | None = None,
    unit: str | None = None,
    candidate_smiles: str | None = None,
    order: str = "rank",
    base_rate: float | None = None,
    duplicates: str = "merge",
    encoder: AssayEncoder | None = None,
    verbose: int | str = "auto",
) -> Ranking:
    """Rank candidates by the few compounds of an assay that have been measured.

    Parameters
    ----------
    support : path
        A CSV file of the measured compounds: a column of SMILES and one of labels (1 and 0, active
        and inactive, ...), of values, or of concentrations with a unit; see `read_measured`.
    candidates : path
        A CSV file with a column of SMILES, or a .smi file, gzipped if its name ends in .gz. It is
        read in chunks, and may be larger than the memory.
    output : path, default "ranked.csv"
        The CSV file to write: the candidates' columns, and

        - ``probability`` of being active, or the predicted ``value`` with ``lower`` and ``upper``,
          between which 90% of measurements are expected;
        - ``nearest``, the most similar measured compound, and its Tanimoto ``similarity``;
        - ``measured``, the result of a candidate that is itself among the measured compounds;
        - ``warning``, where nothing similar was measured, or the row could not be read;
        - ``rank``, from 1.

        Where the library has a column of such a name, it is called ``predicted_...``.
    report : path, optional
        The HTML page to write.
    history : path, optional
        A CSV file of earlier assays, a row a result, with the columns ``assay``, ``smiles`` and
        ``active`` or ``value``. The encoder is trained further on them.
    smiles, result, unit, duplicates : optional
        Of the measured compounds; see `read_measured`.
    candidate_smiles : str, optional
        The column of SMILES among the candidates, by default found as in `read_measured`.
    order : {"rank", "library"}, default "rank"
        Of the output's rows. Those that cannot be read come last by rank.
    base_rate : float, optional
        Which share of the candidates is active, above 0 and below 1, for probabilities. By default
        that of the measured compounds. The order does not depend on it.
    encoder : AssayEncoder, optional
        By default that of ``deepchem_meta.pretrained.load()``.
    verbose : {"auto", 0, 1}, default "auto"
        Whether to show progress; "auto" does on a terminal.

    Returns
    -------
    Ranking

    Raises
    ------
    ValueError
        If a file or an argument is not as described. Nothing is written then.
    FileNotFoundError
        If a file is not there.
    ImportError
        If RDKit or scikit-learn is not installed.
    """
    started = time.perf_counter()
    check_option("order", order, ("rank", "library"))
    check_option("verbose", verbose, ("auto", 0, 1))
    if base_rate is not None:
        check_rates(base_rate, 2)
    read = [Path(path) for path in (support, candidates, history) if path is not None]
    output = _checked_output("output", output, read)
    page = None if report is None else _checked_output("report", report, [*read, output])
    options = {"smiles": smiles, "result": result, "unit": unit, "duplicates": duplicates}
    measured = read_measured(support, **options)
    library = Library(Path(candidates), candidate_smiles)
    encoder = load() if encoder is None else encoder
    if history is not None:
        encoder = with_history(encoder, history, measured.task_type)
    predictor = AssayPredictor(encoder, measured, base_rate)
    columns = [*library.columns, *_new_columns(measured, library.columns)]
    with RankedRows(output) as rows:
        counts = _rank_all(library, predictor, rows, _progress(verbose))
        rows.write(columns, order)
        ranking = Ranking(
            output=output,
            report=page,
            measured=measured,
            left_out=predictor.left_out(),
            held_out=encoder.held_out(measured.task_type, len(measured)),
            history=None if history is None else encoder.about["history"],
            candidates=len(rows),
            columns=columns,
            best=rows.best(50),
            seconds=time.perf_counter() - started,
            **counts,
        )
    if page is not None:
        write_report(page, ranking, library.smiles)
    return ranking


def _rank_all(
    library: Library, predictor: AssayPredictor, rows: RankedRows, progress: Any
) -> dict[str, Any]:
    """Score all candidates, and return what was counted."""
    known = {text: n for n, text in enumerate(predictor.measured.canonical)}
    found = {"unreadable": 0, "unreadable_rows": [], "dissimilar": 0}
    for chunk in library.chunks(predictor.featurizer, Standardizer()):
        predicted = predictor.predict(chunk.stored)
        found["dissimilar"] += int((predicted.similarity < DISSIMILAR).sum())
        found["unreadable"] += len(chunk.reasons)
        for n in sorted(chunk.reasons):
            if len(found["unreadable_rows"]) < _LISTED:
                row = chunk.rows[n]
                text = row[library.smiles] if library.smiles < len(row) else ""
                found["unreadable_rows"].append(DroppedRow(chunk.lines[n], text, chunk.reasons[n]))
        _add(chunk, predicted, predictor.measured, known, len(library.columns), rows)
        progress(len(rows))
    return found


def _add(
    chunk: Chunk,
    predicted: Predictions,
    measured: Measured,
    known: dict[str, int],
    width: int,
    rows: RankedRows,
) -> None:
    """Add the rows of a chunk with what is predicted."""
    place = 0
    for n, row in enumerate(chunk.rows):
        cells = [*row, *[""] * width][:width]
        values = 1 if predicted.lower is None else 3
        if n in chunk.reasons:
            warning = f"line {chunk.lines[n]} {chunk.reasons[n]}"
            rows.add([*cells, *[""] * (values + 3), warning], float("nan"))
            continue
        score = predicted.score[place]
        numbers = [score]
        if predicted.lower is not None:
            numbers += [predicted.lower[place], predicted.upper[place]]
        twin = known.get(chunk.canonical[n])
        similarity = predicted.similarity[place]
        added = [
            *(f"{number:.4f}" for number in numbers),
            measured.smiles[predicted.nearest[place]],
            f"{similarity:.3f}",
            "" if twin is None else f"{measured.values[twin]:g}",
            "nothing similar was measured" if similarity < DISSIMILAR else "",
        ]
        rows.add([*cells, *added], score)
        place += 1


def _new_columns(measured: Measured, taken: Sequence[str]) -> list[str]:
    """Return the names of the columns that are added, except for the rank."""
    classes = measured.task_type == "classification"
    names = ["probability"] if classes else ["value", "lower", "upper"]
    names += ["nearest", "similarity", "measured", "warning"]
    return [f"predicted_{name}" if name in taken else name for name in names]


def _checked_output(name: str, path: Any, others: Sequence[Path]) -> Path:
    """Return where to write, unless it is one of the other files, or there is no such folder."""
    path = Path(path)
    if any(path.resolve() == other.resolve() for other in others):
        raise ValueError(
            f"`{name}` must be another file than those that are read or written besides. "
            f"Received: {name}={str(path)!r}"
        )
    if not path.parent.is_dir() or path.is_dir():
        raise ValueError(
            f"`{name}` must be a file in a folder that exists. Received: {name}={str(path)!r}"
        )
    return path


def _progress(verbose: int | str) -> Any:
    """Return a function that shows how many candidates are done."""
    if verbose == 0 or (verbose == "auto" and not sys.stdout.isatty()):
        return lambda done: None
    bar = keras.utils.Progbar(None, unit_name="candidates")
    return bar.update
