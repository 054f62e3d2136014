"""ANIL and BOIL: MAML that adapts the head alone, or all but the head."""

from __future__ import annotations

from typing import Any

from deepchem_meta.engine.learner_model import LearnerModel, as_variable
from deepchem_meta.metalearning._variables import choose_variables
from deepchem_meta.metalearning.maml import MAML

__all__ = ["ANIL", "BOIL"]


class _PartMAML(MAML):
    """MAML that adapts the head of a network, or what is not the head."""

    _adapts_head: bool

    def __init__(self, learner: Any, *args: Any, head: Any = None, **options: Any):
        learner = LearnerModel.of(learner)
        in_head, in_body = _parts(learner, head)
        adapts = in_head if self._adapts_head else in_body
        super().__init__(learner, *args, adapt_variables=adapts, **options)


class ANIL(_PartMAML):
    """ANIL, "almost no inner loop": MAML that adapts the head of a network alone.

    The body below it is meta-learned, and the same for all tasks.

    Parameters
    ----------
    learner : MetaLearner
        The model and the tasks.
    *args
        As in `MAML`.
    head : str or layer, or list of variables, layers and str, optional
        Which variables the head has, as `MAML` takes ``adapt_variables``. By default those of the
        last layer of a `KerasLearner`'s model that has trainable weights; other learners must say.
    **options
        Those of `MAML`, except ``adapt_variables``. Meta-gradients are summed over tasks, unless
        ``reduction="mean"``.

    References
    ----------
    Raghu, Raghu, Bengio and Vinyals, "Rapid Learning or Feature Reuse? Towards Understanding the
    Effectiveness of MAML", ICLR 2020, https://arxiv.org/abs/1909.09157
    """

    _adapts_head = True


class BOIL(_PartMAML):
    """BOIL, "body only in inner loop": MAML that adapts all but the head of a network.

    The head is meta-learned, and the same for all tasks, so that the body has to change what it
    represents.

    Parameters
    ----------
    learner : MetaLearner
        The model and the tasks.
    *args
        As in `MAML`.
    head : str or layer, or list of variables, layers and str, optional
        As in `ANIL`.
    **options
        Those of `MAML`, except ``adapt_variables``. Meta-gradients are summed over tasks, unless
        ``reduction="mean"``.

    References
    ----------
    Oh, Yoo, Kim and Yun, "BOIL: Towards Representation Change for Few-shot Learning", ICLR 2021,
    https://arxiv.org/abs/2008.08882
    """

    _adapts_head = False


def _parts(model: LearnerModel, head: Any) -> tuple[list, list]:
    """Return the trainable variables of the head, and the others."""
    if head is None:
        head = _last_layer(model.learner)
    in_head = choose_variables(model, head)
    learned = [
        (v, inside)
        for v, inside, learn in zip(model.variables, in_head, model.learned, strict=True)
        if learn
    ]
    parts = [v for v, inside in learned if inside], [v for v, inside in learned if not inside]
    if not all(parts):
        raise ValueError(
            "`head` must leave trainable variables to the head and to the body. "
            f"Received: {head!r}, with {len(parts[0])} of {len(learned)} variables"
        )
    return parts


def _last_layer(learner: Any) -> list:
    """Return the weights of the last layer of a Keras model that has any."""
    model = getattr(learner, "model", None)
    layers = [layer for layer in getattr(model, "layers", []) if layer.trainable_weights]
    if not layers:
        raise ValueError(
            "`head` must be given for a learner that is not a KerasLearner, whose model's last "
            f"layer it is by default. Received: head=None for a {type(learner).__name__}"
        )
    return [as_variable(weight) for weight in layers[-1].trainable_weights]
