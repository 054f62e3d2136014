"""What all metalearning algorithms share: fit, restore, adapt, and the steps in between."""

from __future__ import annotations

import os
import random
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from deepchem_meta._checks import check_count, check_option, check_seconds
from deepchem_meta.engine import fit_loop
from deepchem_meta.engine.checkpoints import CheckpointStore, Saved
from deepchem_meta.engine.episodes import EpisodeChunks
from deepchem_meta.engine.learner_model import LearnerModel
from deepchem_meta.engine.meta_step import LOGS, Execution
from deepchem_meta.engine.model_dirs import open_model_dir
from deepchem_meta.engine.model_proxy import ModelProxy
from deepchem_meta.engine.optimizer import MetaOptimizer
from deepchem_meta.engine.progress import EPOCH, Progress
from deepchem_meta.engine.replicas import check_outside, check_process, check_strategy
from deepchem_meta.engine.roles import Roles
from deepchem_meta.engine.sampling import EpisodeQueue, Episodes, LearnerSampler, TaskSampler
from deepchem_meta.engine.sum_over_tasks import Plan
from deepchem_meta.engine.task_source import KnownSource
from deepchem_meta.engine.workers import Workers
from deepchem_meta.evaluation import Evaluation
from deepchem_meta.metalearning._class_names import with_class_numbers
from deepchem_meta.metalearning._settings import (
    constructor_arguments,
    constructor_signature,
    describe,
    differences,
)
from deepchem_meta.metalearning._task_source import check_episodes
from deepchem_meta.metalearning._weights import load_weights, save_weights
from deepchem_meta.metalearning.adapted import Adapted
from deepchem_meta.metalearning.adapted_task import AdaptedTask
from deepchem_meta.metalearning.exporting import write_saved_model
from deepchem_meta.metalearning.run_checkpoints import RunCheckpoints
from deepchem_meta.metalearning.runner import TaskRunner
from deepchem_meta.metalearning.task_algorithm import TaskAlgorithm
from deepchem_meta.models.optimizers import Adam
from deepchem_meta.models.optimizers.conversion import to_keras_optimizer
from deepchem_meta.tasks.streams import as_source

__all__ = ["MetaAlgorithm", "MetaGradient"]


class MetaGradient(NamedTuple):
    """The gradient of the query loss after adaptation, over the tasks of one meta-step.

    Attributes
    ----------
    loss : float
        The query loss after adaptation, a mean over tasks.
    gradients : list of tf.Tensor or None
        One for each of `variables`, summed or averaged over tasks as `reduction` says; None where
        the query loss does not depend on the variable.
    variables : list of tf.Variable
        The meta-learned variables.
    """

    loss: float
    gradients: list[tf.Tensor | None]
    variables: list[tf.Variable]


class MetaAlgorithm(TaskAlgorithm):
    """Base of the algorithms: an algorithm says what happens in one task, the rest is here.

    A subclass implements `adapt_task`, a pure function of one task's data. The query loss and its
    meta-gradient follow from it; `query_loss` and `task_gradient` can be overridden too.

    Parameters
    ----------
    learner : MetaLearner
        The model and the tasks.
    adapts : bool or list of bool, default False
        Which of the learner's variables `adapt_task` may change: none, all that are meta-learned,
        or those that a list says.
    optimization_steps : int, default 0
        Steps of adaptation to each task in `fit`.
    meta_batch_size : int, default 10
        Tasks a meta-step.
    optimizer : Optimizer or keras.optimizers.Optimizer, default Adam()
        The meta-optimizer: one of `deepchem_meta.models.optimizers`, of DeepChem's own, or of
        Keras.
    model_dir : path, optional
        The folder for checkpoints, made if need be; by default a temporary one, which is deleted
        with the last object that uses it.
    own_variables : list of tf.Variable
        What is meta-learned besides the learner's variables: a learning rate, a temperature.
    own_state : list of tf.Variable
        What the algorithm changes itself, as a model does its moving averages; `changed_state`
        must then be overridden.
    task_execution : {"auto", "vectorized", "looped"}, default "auto"
        Whether the tasks of a meta-step run all at once or one after the other.
    jit_compile : bool or "auto", default "auto"
        Whether to compile with XLA.
    reduction : {"sum", "mean"}, default "mean"
        Of the meta-gradients over tasks.
    task_batch_size : int, optional
        How many tasks of a meta-step run at once, at most: less memory for large meta-batches, the
        same meta-gradient to rounding. By default all.
    seed : int, optional
        Draws the tasks of a learner with ``sample_tasks``, and Dropout; by default drawn itself,
        from Python's random numbers. It is saved with the checkpoints.
    """

    def __init_subclass__(cls, **keywords: Any):
        """Give the class its constructor's signature, which `__new__` hides."""
        super().__init_subclass__(**keywords)
        cls.__signature__ = constructor_signature(cls)

    def __new__(cls, *args: Any, **keywords: Any) -> MetaAlgorithm:
        """Keep what the constructor is called with, for `save`."""
        algorithm = super().__new__(cls)
        algorithm._arguments = constructor_arguments(cls, args, keywords)
        return algorithm

    def __init__(
        self,
        learner: Any,
        *,
        adapts: bool | Sequence[bool] = False,
        optimization_steps: int = 0,
        meta_batch_size: int = 10,
        optimizer: Any = Adam(),  # noqa: B008 - it holds settings, no state
        model_dir: str | os.PathLike | None = None,
        own_variables: Sequence[tf.Variable] = (),
        own_state: Sequence[tf.Variable] = (),
        task_execution: str = "auto",
        jit_compile: bool | str = "auto",
        reduction: str = "mean",
        task_batch_size: int | None = None,
        seed: int | None = None,
    ):
        execution = Execution(task_execution, jit_compile, reduction, task_batch_size).check()
        model = LearnerModel.of(learner)
        model.check_batches(self.check_batch)
        strategy = check_strategy(model.variables)
        check_count("optimization_steps", optimization_steps)
        check_count("meta_batch_size", meta_batch_size, minimum=1)
        seed_variable = _make_seed(seed)
        roles = Roles.of(model, adapts, own_variables, own_state)
        super().__init__(model, roles, optimization_steps)
        self._process = os.getpid()
        self.meta_batch_size = meta_batch_size
        self._given_optimizer = optimizer
        step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
        keras_optimizer = to_keras_optimizer(optimizer, step)
        moved = [*roles.of_learned(model.learner.variables), *roles.own]
        self._meta_optimizer = MetaOptimizer(keras_optimizer, moved, step)
        self._model_dir = open_model_dir(self, model_dir)
        self.runner = TaskRunner(
            self, self._meta_optimizer, execution._replace(strategy=strategy), seed_variable
        )
        self._sampler = _make_sampler(model, seed_variable)
        saved = Saved(
            listed=roles.variables,
            own=[*roles.own, *roles.own_state],
            random=[seed_variable],
            optimizer=[step, *self._meta_optimizer.state],
            optimizer_name=type(keras_optimizer).__name__,
        )
        self._workers = Workers(strategy)
        store = CheckpointStore(
            self._model_dir,
            saved,
            writes=self._workers.is_chief,
            settings=lambda: describe(self, self._arguments),
            differences=differences,
        )
        self._checkpoints = RunCheckpoints(store, self._sampler)

    @property
    def learner(self) -> Any:
        """The model and the tasks."""
        return self.model.learner

    @property
    def optimizer(self) -> Any:
        """The meta-optimizer as it was given."""
        return self._given_optimizer

    @property
    def model_dir(self) -> str:
        """The folder for checkpoints."""
        return self._model_dir

    @property
    def step(self) -> int:
        """Meta-steps taken so far, those before the checkpoint that was restored included."""
        return int(self._meta_optimizer.step)

    @property
    def meta_batch_size(self) -> int:
        """Tasks a meta-step, an int of at least 1."""
        return self._meta_batch_size

    @meta_batch_size.setter
    def meta_batch_size(self, value: int) -> None:
        self._meta_batch_size = check_count("meta_batch_size", value, minimum=1)

    @property
    def execution_plan(self) -> Plan | None:
        """How the tasks of the last meta-step ran, and why; None before the first.

        After a change of `optimization_steps` the choice is made anew.
        """
        return self.runner.trainer().plan

    def fit(
        self,
        steps: int,
        max_checkpoints_to_keep: int = 5,
        checkpoint_interval: float = 600,
        restore: bool | str = False,
        *,
        steps_per_execution: int | str = "auto",
        callbacks: Sequence[keras.callbacks.Callback] | None = None,
        verbose: int | str = "auto",
        validation: Any = None,
        steps_per_epoch: int = EPOCH,
        validation_tasks: int = 100,
        save_best: str | None = None,
        validation_frequency: int | None = None,
    ) -> keras.callbacks.History:
        """Meta-train the learner's variables.

        A meta-step draws `meta_batch_size` tasks, each with `select_task()`, a `get_batch()` for
        the support set and a `get_batch()` for the query set; adapts to each support set, all
        steps of adaptation on the same batch; and moves the variables once, by the optimizer and
        the gradients of the query losses.

        Parameters
        ----------
        steps : int
            Meta-steps to take. With 0 nothing is trained or saved.
        max_checkpoints_to_keep : int, default 5
            Older checkpoints are deleted.
        checkpoint_interval : float, default 600
            Seconds between checkpoints. There is always one after the last step.
        restore : bool or "auto", default False
            Go on from the newest checkpoint in `model_dir`, for `steps` more meta-steps. With
            "auto" a run goes on if there is a checkpoint and starts afresh if there is none, and
            `steps` counts from the first meta-step of the run: the same call can be repeated until
            the run is done.
        steps_per_execution : int or "auto", default "auto"
            Meta-steps in one call of the compiled function. It changes the speed only. With
            "auto" a call takes up to 200 steps and about a quarter of a second, and batches are
            drawn in a thread while the last ones run. With 1 they are drawn in the caller's
            thread, just before they are used; a learner that reads its variables while it draws a
            batch gets that by itself.
        callbacks : list of keras.callbacks.Callback, optional
            An epoch is `steps_per_epoch` meta-steps. `model` is a stand-in with
            `stop_training`, `optimizer`, `get_weights` and `set_weights`; over a `KerasLearner`
            all else is that of the learner's model, so that `ModelCheckpoint` saves it.
        verbose : {"auto", 0, 1, 2}, default "auto"
            A progress bar (1), a line an epoch (2), or silence (0). "auto" is 1 on a terminal and
            in Jupyter, and else 2; for fewer than 10 meta-steps it is 0, so that a loop of short
            calls does not fill the screen.
        validation : object or tf.data.Dataset, optional
            A source of held-out tasks, as `evaluate` takes it. At the end of each epoch the logs
            get its scores after `optimization_steps` steps, as ``val_loss``, ``val_accuracy`` and
            so on; always over the same tasks.
        steps_per_epoch : int, default 1000
            Meta-steps of an epoch.
        validation_tasks : int, default 100
            How many held-out tasks to adapt to.
        save_best : str, optional
            The name of one of these scores. The checkpoint with the best one is kept in the folder
            ``best`` of `model_dir`, for ``restore(best=True)``, whatever comes after it; with
            `restore` the one kept there before counts too. Of losses and errors (by the end of
            their names) the smallest is the best, of anything else the largest.
        validation_frequency : int, optional
            The former name of `steps_per_epoch`, which it replaces if it is given. Deprecated.

        Returns
        -------
        keras.callbacks.History
            ``history.history`` holds for each epoch the means over its meta-steps of ``loss`` (the
            query loss after adaptation, computed with ``training=True``, unlike that of
            `evaluate`) and ``gradient_norm``; and over every 200th of them, from the first on,
            ``support_loss_after`` adaptation, the `metrics` of a `KerasLearner` on the query sets
            after it, and, of algorithms that adapt in steps, ``support_loss_before`` and
            ``query_loss_before``.

        Raises
        ------
        TypeError, ValueError
            If an argument, the learner or one of its batches is not as described.
        RuntimeError
            If it is called in a `strategy.scope()`, since the algorithm knows the one it was made
            in; another process trains into `model_dir`; or this process is a fork of the one that
            made the algorithm.
        FloatingPointError
            If a loss or gradient is not finite. The variables stay as the last finite meta-step
            left them, and nothing is saved.

        Notes
        -----
        Whatever else interrupts it, Ctrl-C or an exception of a callback or of the learner, a
        checkpoint of the last meta-step taken is saved before the exception goes on.
        """
        self._check_place("fit")
        steps = check_count("steps", steps)
        check_option("restore", restore, (False, True, "auto"))
        whole_run = restore == "auto"
        restore = self._checkpoints.exist if whole_run else restore
        keep = check_count("max_checkpoints_to_keep", max_checkpoints_to_keep, minimum=1)
        interval = check_seconds("checkpoint_interval", checkpoint_interval)
        if steps_per_execution != "auto":
            check_count("steps_per_execution", steps_per_execution, minimum=1)
        check_option("verbose", verbose, ("auto", 0, 1, 2, False, True))
        if validation_frequency is not None:
            warnings.warn(
                "`validation_frequency` is deprecated: it is called `steps_per_epoch` now",
                DeprecationWarning,
                stacklevel=2,
            )
            steps_per_epoch = check_count("validation_frequency", validation_frequency, minimum=1)
        epoch = check_count("steps_per_epoch", steps_per_epoch, minimum=1)
        validate = self._validator(validation, validation_tasks, save_best, restore)
        if restore:
            self.model.check_variables()
            self._checkpoints.restore("training" if steps else "adaptation")
        if whole_run:
            steps = max(0, steps - self.step)
        self.model.check_variables()
        self._meta_optimizer.synchronize()
        model = getattr(self.learner, "model", None)
        proxy = ModelProxy(
            self.model.variables,
            self._meta_optimizer.optimizer,
            model if isinstance(model, keras.Model) and self.model.knows_batches else None,
        )
        verbose = verbose if self._workers.is_chief else 0
        progress = Progress(steps, callbacks, verbose, proxy, epoch=epoch, validate=validate)
        if steps == 0:
            return progress.history
        with (
            EpisodeQueue(self._sampler, self.meta_batch_size) as queue,
            self._checkpoints.opened(queue),
        ):
            self.runner.try_model([column[0] for column in queue.peek().support])
            place = fit_loop.fit(
                self.runner.trainer(),
                queue,
                progress,
                numbers=self.task_numbers,
                steps_per_execution=steps_per_execution,
                checkpoint_interval=interval,
                save=lambda place: self._checkpoints.save(keep, place),
                workers=self._workers,
            )
            self._meta_optimizer.finalize()
            self._checkpoints.save(keep, place)  # what a callback did at the end included
            self._workers.wait()  # so that all can restore it
        return progress.history

    def restore(self, best: bool = False) -> None:
        """Go back to the newest checkpoint in `model_dir`, or to the best one.

        The learner's variables, learned rates, the optimizer's slots, the count of meta-steps and
        the seed are restored, and where the learner's sampling stood, if it has `set_state`. The
        optimizer's settings, its learning rate among them, stay as they were given to the
        constructor.

        Parameters
        ----------
        best : bool, default False
            Take the checkpoint that ``fit(..., save_best=...)`` kept.

        Raises
        ------
        ValueError
            If there is no checkpoint, none that can be read, or it belongs to another learner;
            the message names the variables that do not fit, and nothing is changed.

        Warns
        -----
        UserWarning
            If the newest checkpoint cannot be read and an older one is restored, the algorithm or
            the settings that adaptation depends on are not those of the checkpoint, or the
            optimizer is another one and starts afresh. ``fit(restore=True)`` compares the settings
            of training too.
        """
        self.model.check_variables()
        if best:
            self._checkpoints.restore_best()
        else:
            self._checkpoints.restore("adaptation")

    def save(self, path: str | os.PathLike) -> None:
        """Write the algorithm into a folder: its settings, and all that `restore` restores.

        Parameters
        ----------
        path : path
            A new folder, or one that `save` wrote, which is replaced. A folder that cannot be
            written whole leaves an older one as it was.

        Raises
        ------
        TypeError, ValueError
            If `path` is anything else.

        See Also
        --------
        deepchem_meta.metalearning.load : Makes the algorithm anew.
        """
        self._checkpoints.save_as(path)

    def load(self, path: str | os.PathLike) -> None:
        """Take over the state of an algorithm that `save` wrote.

        Parameters
        ----------
        path : path
            A folder that `save` wrote.

        Raises
        ------
        TypeError, ValueError
            If `path` is no such folder, or its learner has other variables. Nothing is changed
            then.

        Warns
        -----
        UserWarning
            As `restore`. The settings of this algorithm stay.
        """
        self.model.check_variables()
        self._checkpoints.load(path)

    def save_weights(self, path: str | os.PathLike) -> None:
        """Write the learner's variables alone into one file.

        Parameters
        ----------
        path : path
            Its name must end with ``.weights.h5``. Of a `KerasLearner` the file is what
            ``keras.Model.save_weights`` writes, so that Keras alone can load it into the model.

        Raises
        ------
        TypeError, ValueError
            If `path` is not as described.
        """
        save_weights(path, self.learner, self.model.variables)

    def load_weights(self, path: str | os.PathLike) -> None:
        """Assign the learner's variables from a file that `save_weights` wrote.

        Parameters
        ----------
        path : path
            The file.

        Raises
        ------
        TypeError, ValueError
            If there is no such file, or it holds other variables; nothing is changed then.
        """
        load_weights(path, self.learner, self.model.variables)
        self._meta_optimizer.synchronize()

    def train_on_current_task(self, optimization_steps: int = 1, restore: bool = True) -> None:
        """Adapt the learner's own variables to the task it has selected.

        Unlike `fit`, which takes all steps of adaptation on one support batch, this calls
        `get_batch()` for each step, as DeepChem does. Algorithms whose steps depend on those
        before (`steps_are_alike` is False: an inner rule with a memory, `MAMLPlusPlus`,
        `ImplicitMAML`, a head from the support set) take all of them on one batch, as `adapt`.

        Parameters
        ----------
        optimization_steps : int, default 1
            Steps to take.
        restore : bool, default True
            Restore the newest checkpoint's variables first.

        Raises
        ------
        ValueError
            If `restore` is true and there is no checkpoint.
        """
        self._check_place("train_on_current_task", replicas=2)
        steps = check_count("optimization_steps", optimization_steps)
        if restore:
            self.model.check_variables()
            self._checkpoints.restore_variables()
        for step in range(steps) if self.steps_are_alike else [0]:
            batch = self.model.read(self.learner.get_batch())
            self.assign(self.runner.adapt(batch, 1 if self.steps_are_alike else steps, step))

    def assign(self, adapted: Adapted) -> None:
        """Give the learner's variables their adapted values."""
        for variable, value in zip(self.roles.variables, adapted.params, strict=True):
            variable.assign(value)

    def predict_on_batch(self, inputs: Any) -> tuple[tf.Tensor, Any]:
        """Compute the model for a batch, with the learner's variables as they are.

        Parameters
        ----------
        inputs : list of arrays
            A batch such as `get_batch` returns.

        Returns
        -------
        loss : tf.Tensor
            A scalar.
        outputs : list of tf.Tensor
            The model's outputs, computed with ``training=False``.
        """
        self._check_place("predict_on_batch", replicas=2)
        return self.runner.predict_unadapted(self.model.read(inputs, "`inputs`"))

    def adapt(self, support: Any, optimization_steps: int | None = None) -> AdaptedTask:
        """Adapt to a task and leave the learner as it is.

        Parameters
        ----------
        support : list of arrays
            The task's support batch, such as `get_batch` returns. For a classifier over a
            `KerasLearner` the labels may be words; their sorted names are then classes 0, 1, ...,
            which `AdaptedTask.predict_classes` gives back.
        optimization_steps : int, optional
            Steps to take, all on this batch; those of `fit` by default.

        Returns
        -------
        AdaptedTask
        """
        self._check_place("adapt", replicas=2)
        steps = self.optimization_steps if optimization_steps is None else optimization_steps
        check_count("optimization_steps", steps)
        names = None
        if self.classes_as is not None:
            support, names = with_class_numbers(support)
        batch = self.model.read(support, "`support`")
        adapted = self.runner.adapt(batch, steps)
        return AdaptedTask(adapted, batch, self, self.runner, names)

    def evaluate(
        self,
        tasks: Any,
        *,
        n_tasks: int = 600,
        optimization_steps: int | Sequence[int] = (0, 1, 5, 10),
        seed: int = 0,
    ) -> Evaluation:
        """Adapt to held-out tasks, each from the meta-learned variables, and score the query sets.

        The learner is left as it is.

        Parameters
        ----------
        tasks : object or tf.data.Dataset
            A source of tasks as `KerasLearner` takes it. For any other learner ``sample(n, rng)``
            returns (support, query) in the structure of its batches, with the task as first axis.
        n_tasks : int, default 600
            Tasks to adapt to. Of a source that names its tasks (`AssayTasks`) each occurs equally
            often, so the number is rounded up to full rounds.
        optimization_steps : int or sequence of int, default (0, 1, 5, 10)
            Steps of adaptation after which to score. Algorithms without steps (`ProtoNet`, say)
            score once, as after 0.
        seed : int, default 0
            What the tasks are drawn from. The same seed gives every algorithm the same ones.

        Returns
        -------
        Evaluation
            The loss, the metrics of a `KerasLearner` and the scores of the source (`AssayTasks`
            has ROC-AUC and average precision), for each task and number of steps.

        Raises
        ------
        TypeError, ValueError
            If an argument is not as described.
        """
        self._check_place("evaluate", replicas=2)
        source = as_source(tasks)
        check_count("n_tasks", n_tasks, minimum=1)
        check_count("seed", seed)
        several = isinstance(optimization_steps, Iterable)
        steps = tuple(optimization_steps) if several else (optimization_steps,)
        if not steps:
            raise ValueError(
                "`optimization_steps` must be an int, or a sequence of at least one. "
                f"Received: optimization_steps={optimization_steps!r}"
            )
        for count in steps:
            check_count("optimization_steps", count)
        steps = steps if self.adapts_in_steps else (0,)
        self.check_tasks(source)
        known = KnownSource.of(source)
        episodes = EpisodeChunks(known, n_tasks, seed, self._check_episodes)
        values = self.runner.score(episodes, steps, known.scores)
        settings = {"algorithm": type(self).__name__}
        if getattr(self.learner, "has_batch_norm", False):
            settings["batch_norm"] = self.learner.batch_norm
        return Evaluation(values, steps, seed=seed, task_names=episodes.names, settings=settings)

    def meta_gradient(self, support: Any, query: Any) -> MetaGradient:
        """Return the meta-gradient over some tasks without applying it.

        Parameters
        ----------
        support, query : list of arrays
            Batches such as `get_batch` returns, each array with one more axis in front: the task.

        Returns
        -------
        MetaGradient
        """
        episodes = self._stacked("meta_gradient", support, query)
        loss, gradients = self.runner.meta_gradient(episodes)
        return MetaGradient(loss, gradients, self.roles.meta_variables)

    def train_on_batch(self, support: Any, query: Any) -> dict[str, float]:
        """Take one meta-step on the given tasks.

        Parameters
        ----------
        support, query : list of arrays
            Batches such as `get_batch` returns, each array with one more axis in front: the task.

        Returns
        -------
        dict of float
            ``loss``, the query loss after adaptation, and ``gradient_norm``.

        Raises
        ------
        FloatingPointError
            If the loss or its gradient is not finite; nothing is changed then.
        """
        episodes = self._stacked("train_on_batch", support, query)
        return dict(zip(LOGS, self.runner.train(episodes)[0].tolist(), strict=True))

    def export(
        self,
        path: str | os.PathLike,
        format: str = "tf_saved_model",
        *,
        optimization_steps: int | None = None,
    ) -> None:
        """Write adaptation and prediction as a SavedModel, which needs TensorFlow alone.

        Its signatures, of an algorithm over a `KerasLearner`, are

        - ``adapt_and_predict(support_x, support_y, query_x) -> {"outputs": ...}``, what
          ``adapt((support_x, support_y)).predict(query_x)`` gives, for any number of examples;
        - ``adapt(support_x, support_y)``, the adapted value of each variable by its path, of
          algorithms that adapt in steps.

        The object that ``tf.saved_model.load`` returns has functions of the same names. Of a model
        with several inputs the arguments are ``support_x_<name>`` and so on, by key or place, and
        so are several targets and outputs. Numbers of classes are int64. Dropout rests. There are
        no sample weights.

        Parameters
        ----------
        path : path
            A new folder, or one with a SavedModel, which is replaced once the new one is whole.
        format : {"tf_saved_model"}
            An adapted model can be exported to other formats by Keras:
            ``adapt(support).to_model().export(path, format="onnx")``.
        optimization_steps : int, optional
            Steps of adaptation; those of `fit` by default.

        Raises
        ------
        TypeError
            If the learner is not a `KerasLearner`, or its model cannot be traced.
        ValueError
            If an argument is not as described.
        """
        if format != "tf_saved_model":
            raise ValueError(
                "`format` must be 'tf_saved_model'; the Keras model of one task, "
                "`adapt(support).to_model()`, has others. "
                f"Received: format={format!r}"
            )
        steps = self.optimization_steps if optimization_steps is None else optimization_steps
        check_count("optimization_steps", steps)
        write_saved_model(path, self.model, self.runner.served(steps), self.adapts_in_steps)

    def validate(self, tasks: Any, n_tasks: int) -> Evaluation:
        """Score held-out tasks after `optimization_steps` steps, as `fit` does each epoch.

        Parameters
        ----------
        tasks : object or tf.data.Dataset
            A source of tasks, as `evaluate` takes it.
        n_tasks : int
            Tasks to adapt to; the same ones in every call.

        Returns
        -------
        Evaluation
        """
        return self.evaluate(tasks, n_tasks=n_tasks, optimization_steps=(self.optimization_steps,))

    def _validator(
        self, tasks: Any, n_tasks: int, save_best: str | None, goes_on: bool
    ) -> Callable[[], dict[str, float]]:
        """Return what gives the logs of held-out tasks at the end of an epoch."""
        if tasks is None:
            if save_best is not None:
                raise ValueError(
                    "`save_best` needs `validation`. "
                    f"Received: save_best={save_best!r}, validation=None"
                )
            return dict
        source = as_source(tasks)
        check_count("validation_tasks", n_tasks, minimum=1)
        self.check_tasks(source)
        # What does not fit is known before anything is trained.
        known = KnownSource.of(source)
        for batch in next(iter(EpisodeChunks(known, 1, 0, self._check_episodes)))[:2]:
            self.model.read(batch, "`validation`", stacked=True)
        names = self.model.metric_names
        logged = [f"val_{name}" for name in ("loss", *names, *known.scores)]
        best = save_best and self._checkpoints.keep_best(save_best, logged, goes_on)

        def validate() -> dict[str, float]:
            means = self.validate(source, n_tasks).mean
            logs = {f"val_{name}": float(mean[0]) for name, mean in means.items()}
            if best:
                best.update(logs)
            return logs

        return validate

    def _stacked(self, name: str, support: Any, query: Any) -> Episodes:
        """Return given batches with a task axis as the episodes of one meta-step, for a method."""
        self._check_place(name)
        self.model.check_variables()
        columns = [
            self.model.read(batch, name, stacked=True)
            for batch, name in ((support, "`support`"), (query, "`query`"))
        ]
        sizes = {array.shape[:1] for part in columns for array in part}
        if len(sizes) != 1 or sizes == {()}:
            raise ValueError(
                "All arrays of `support` and `query` must have the same first axis, the task. "
                f"Received: shapes {[[array.shape for array in part] for part in columns]}"
            )
        (tasks,) = sizes.pop()
        return Episodes(1, tasks, *columns)

    def _check_place(self, name: str, *, replicas: int = 1) -> None:
        """Raise RuntimeError if a method is called where it cannot run."""
        check_outside(name, replicas=replicas)
        check_process(name, self._process)

    def _check_episodes(self, episodes: Any) -> Any:
        """Return what a source gives, once it is checked: only a KerasLearner says what it is."""
        return check_episodes(episodes) if self.model.knows_batches else episodes


# A signature of its own, as `__init_subclass__` gives it to the others.
MetaAlgorithm.__signature__ = constructor_signature(MetaAlgorithm)


def _make_seed(seed: int | None) -> tf.Variable:
    """Return a variable with the seed given, or one drawn from Python's random numbers."""
    value = random.randrange(2**31) if seed is None else check_count("seed", seed)
    return tf.Variable(value, dtype=tf.int64, trainable=False, name="seed")


def _make_sampler(model: LearnerModel, seed: tf.Variable) -> LearnerSampler | TaskSampler:
    """Return what draws episodes: many at once if the learner can, else one by one."""
    many = callable(getattr(model.learner, "sample_tasks", None))
    return TaskSampler(model, seed) if many else LearnerSampler(model)
