"""What each variable is there for: to be meta-learned, to adapt, or to hold the model's state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import tensorflow as tf

from deepchem_meta.engine.learner_model import LearnerModel, as_variable

__all__ = ["Roles"]

Value = TypeVar("Value")


class Roles(NamedTuple):
    """The parts that variables play in an algorithm.

    Attributes
    ----------
    variables : list of tf.Variable
        The learner's variables, in its order. "Places" are places in this list.
    learned : list of bool
        Which of them the optimizer moves.
    adapts : list of bool
        Which of them adaptation to a task changes.
    own : list of tf.Variable
        What is meta-learned besides: a learning rate, a temperature.
    own_state : list of tf.Variable
        What the algorithm changes itself, as a model does its moving averages.
    """

    variables: list[tf.Variable]
    learned: list[bool]
    adapts: list[bool]
    own: list[tf.Variable]
    own_state: list[tf.Variable]

    @classmethod
    def of(
        cls,
        model: LearnerModel,
        adapts: bool | Sequence[bool],
        own: Sequence[tf.Variable],
        own_state: Sequence[tf.Variable],
    ) -> Roles:
        """Return the roles over a learner's model.

        Parameters
        ----------
        model : LearnerModel
            Says which variables there are, and which of them are meta-learned.
        adapts : bool or list of bool
            Which variables adapt: none, all that are meta-learned, or those that a list says.
        own, own_state : list of tf.Variable
            The attributes; of `own` those that the learner lists are left out.

        Raises
        ------
        TypeError
            If `own` or `own_state` holds anything but variables.
        ValueError
            If there is nothing to learn, or `adapts` has another length.
        """
        variables = model.variables
        own, own_state = _variables("own_variables", own), _variables("own_state", own_state)
        own = [one for one in own if not any(one is variable for variable in variables)]
        if isinstance(adapts, bool):
            adapts = model.learned if adapts else [False] * len(variables)
        if len(adapts) != len(variables):
            raise ValueError(
                f"`adapts` must be a bool, or say it for each of the learner's {len(variables)} "
                f"variables. Received: adapts={adapts!r}"
            )
        if not own and not any(model.learned):
            raise ValueError(
                "There must be something to learn: `learner` has no trainable variable, and the "
                f"algorithm none of its own. Received: a {type(model.learner).__name__} without"
            )
        return cls(variables, model.learned, list(adapts), own, own_state)

    def __repr__(self) -> str:
        learned, adapting = sum(self.learned), sum(self.adapts)
        return (
            f"Roles({len(self.variables)} variables, {learned} learned, {adapting} adapt, "
            f"own={[one.name for one in self.own]}, "
            f"own_state={[one.name for one in self.own_state]})"
        )

    @property
    def meta_variables(self) -> list[tf.Variable]:
        """All that the optimizer moves: those of the learner, and then `own`."""
        return [*self.of_learned(self.variables), *self.own]

    @property
    def state_variables(self) -> list[tf.Variable]:
        """All that only the model or the algorithm itself changes."""
        return [*(self.variables[place] for place in self.state_places), *self.own_state]

    @property
    def learned_places(self) -> list[int]:
        """The places of what the optimizer moves."""
        return [place for place, learned in enumerate(self.learned) if learned]

    @property
    def adapting_places(self) -> list[int]:
        """The places of what adaptation changes."""
        return [place for place, adapts in enumerate(self.adapts) if adapts]

    @property
    def state_places(self) -> list[int]:
        """The places of what is neither meta-learned nor adapted."""
        pairs = zip(self.learned, self.adapts, strict=True)
        return [place for place, pair in enumerate(pairs) if not any(pair)]

    def of_learned(self, values: Sequence[Value]) -> list[Value]:
        """Return those of `values`, one a variable, that belong to what the optimizer moves."""
        return [values[place] for place in self.learned_places]


def _variables(name: str, given: Sequence[tf.Variable]) -> list[tf.Variable]:
    """Return an algorithm's own variables, those of Keras as the `tf.Variable` behind them."""
    variables = [as_variable(one) for one in given]
    if any(one is None for one in variables):
        raise TypeError(f"`{name}` must be a list of tf.Variable. Received: {name}={given!r}")
    return variables
