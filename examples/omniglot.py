"""Learn new characters from one picture each: Omniglot, N-way K-shot, with MAML.

Omniglot has handwritten characters of many alphabets, each drawn by 20 people. A task is to tell N
characters apart after K pictures of each. MAML learns on the first two thirds of the alphabets, in
the order of their names, and is tested on the characters of the others, which it has never seen;
each character turned by 90, 180 or 270 degrees is one more character::

    python omniglot.py --ways 5 --shots 1 --minutes 10

Without ``--data`` the pictures are downloaded once (10 MB). They are decoded once, which takes some
seconds, and kept in Keras' cache. The script prints the accuracy before and after adaptation, and
draws it over the meta-steps beside one test task. With ``--model-dir`` a later call goes on where
the last one stopped. The setting is that of the paper on MAML (Finn et al. 2017, 60,000 meta-steps
of 32 tasks). The picture needs matplotlib (``pip install "deepchem_meta[plot]"``).
"""

import argparse
import hashlib
import os
import time
import zipfile
from pathlib import Path, PurePosixPath

import keras
import numpy as np
import tensorflow as tf

import deepchem_meta as dc

URL = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/images_background.zip"
CACHE = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"), "datasets")
SIZE = 28
TEST_QUERIES = 15


class TimeLimit(keras.callbacks.Callback):
    """Ends the training after some minutes."""

    def __init__(self, minutes):
        super().__init__()
        self.seconds = 60 * minutes

    def on_train_begin(self, logs=None):
        self.end = time.monotonic() + self.seconds

    def on_train_batch_end(self, batch, logs=None):
        if time.monotonic() > self.end:
            self.model.stop_training = True


class LearningCurve(keras.callbacks.Callback):
    """Keeps the accuracy on held-out tasks, and how many meta-steps had been taken."""

    def __init__(self):
        super().__init__()
        self.points = []

    def on_epoch_end(self, epoch, logs=None):
        self.points.append((int(self.model.optimizer.iterations.numpy()), logs["val_accuracy"]))


def read_files(path):
    """Return the PNG files of a folder or zip file, as a dict from their paths to their bytes."""
    if path.is_dir():
        return {p.relative_to(path).as_posix(): p.read_bytes() for p in path.rglob("*.png")}
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name.endswith(".png")}


def decode(contents):
    """Decode PNG files, black on white, to a uint8 array of shape (files, 28, 28, 1).

    It holds the share of ink in each pixel, from 0 to 255.
    """

    def shrink(content):
        image = tf.io.decode_png(content, channels=1)
        return tf.image.resize(255 - image, (SIZE, SIZE), method="area")

    images = tf.data.Dataset.from_tensor_slices(contents)
    images = images.map(shrink, num_parallel_calls=tf.data.AUTOTUNE).batch(256)
    return np.concatenate([np.rint(batch).astype("uint8") for batch in images.as_numpy_iterator()])


def load_images(path, cache):
    """Read the pictures, or what an earlier call has kept of the same ones.

    Returns
    -------
    images : uint8 array of shape (pictures, 28, 28, 1)
    characters : str array of shape (pictures,)
        Such as ``Greek/character01``.
    """
    files = dict(sorted(read_files(path).items()))
    if not files:
        raise ValueError(f"{path} has no PNG files ALPHABET/CHARACTER/*.png")
    digest = hashlib.sha256()
    for name, content in files.items():
        digest.update(name.encode() + content)
    kept = cache / f"omniglot_{SIZE}_{digest.hexdigest()[:16]}.npz"
    if not kept.exists():
        characters = ["/".join(PurePosixPath(name).parts[-3:-1]) for name in files]
        cache.mkdir(parents=True, exist_ok=True)
        partial = kept.with_suffix(f".{os.getpid()}.npz")
        np.savez_compressed(partial, images=decode(list(files.values())), characters=characters)
        partial.replace(kept)
    with np.load(kept) as arrays:
        return arrays["images"], arrays["characters"]


def load_tasks(images, characters, arguments):
    """Return the tasks of the first two thirds of the alphabets, and of the others."""
    names, labels = np.unique(characters, return_inverse=True)
    alphabets = np.array([name.split("/")[0] for name in names])
    different = np.unique(alphabets)
    held_out = different[len(different) - len(different) // 3 :]
    tasks = dc.tasks.FewShotClassificationTasks(
        images.astype("float32") / 255,
        labels,
        ways=arguments.ways,
        shots=arguments.shots,
        queries=arguments.queries,
        rotations=True,
    )
    train, test = tasks.split(test=np.flatnonzero(np.isin(alphabets, held_out)))
    print(
        f"{len(images)} pictures of {len(names)} characters. Turned in four ways they are "
        f"{train.classes} to train on,\nand {test.classes} to test, of {', '.join(held_out)}"
    )
    return train, test.replace(queries=TEST_QUERIES)


def make_model(ways):
    """Return the net of the paper: four convolutions of stride 2 with BatchNormalization."""
    layers = []
    for _ in range(4):
        layers += [
            keras.layers.Conv2D(64, 3, strides=2, padding="same"),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
        ]
    return keras.Sequential([*layers, keras.layers.Flatten(), keras.layers.Dense(ways)])


def draw_picture(maml, curve, test, arguments):
    """Draw the accuracy over meta-steps, and a test task with the predictions."""
    from matplotlib.figure import Figure

    from deepchem_meta import plotting

    task = test.replace(queries=5).sample(1, np.random.default_rng(arguments.seed))
    support, query = (tuple(array[0] for array in batch) for batch in task)
    predictions = maml.adapt(support, arguments.test_steps).predict(query[0])
    figure = Figure(figsize=(12, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    steps, accuracy = np.transpose(curve.points)
    left.plot(steps, 100 * accuracy, "o-", color="#0072B2", markersize=3)
    left.axhline(100 / arguments.ways, color="black", linestyle=":", label="chance")
    left.set(
        xlabel="meta-steps", ylabel="accuracy on new characters (%)", ylim=(0, 102), xlim=(0, None)
    )
    left.legend()
    plotting.plot_episode(support, query, predictions, cmap="gray_r", ax=right)
    figure.savefig(arguments.output, dpi=120)


def parse_arguments(argv):
    parser = argparse.ArgumentParser(description="MAML on Omniglot.")
    add = parser.add_argument
    add("--data", type=Path, help="folder or zip of ALPHABET/CHARACTER/*.png (default: download)")
    add("--cache", type=Path, default=CACHE, help="folder for decoded pictures (%(default)s)")
    add("--ways", type=int, default=5, help="characters of a task (%(default)s)")
    add("--shots", type=int, default=1, help="pictures of each to adapt to (%(default)s)")
    add("--queries", type=int, default=5, help="others of each, in training (%(default)s)")
    add("--steps", type=int, default=60000, help="most meta-steps to take (%(default)s)")
    add("--minutes", type=float, default=10, help="most minutes to train (%(default)s)")
    add("--tasks", type=int, default=8, help="in each meta-step (%(default)s)")
    add("--rate", type=float, default=1e-3, help="of Adam, the meta-optimizer (%(default)s)")
    add("--inner-rate", type=float, default=0.4, help="of adaptation (%(default)s)")
    add("--inner-steps", type=int, default=1, help="of adaptation, in training (%(default)s)")
    add("--test-steps", type=int, default=3, help="of adaptation, in the test (%(default)s)")
    add("--test-tasks", type=int, default=600, help="of the table (%(default)s)")
    add("--first-order", action="store_true", help="drop second derivatives")
    add("--validate-every", type=int, default=250, help="meta-steps (%(default)s)")
    add("--model-dir", type=Path, help="folder for checkpoints, from which a later call goes on")
    add("--seed", type=int, default=0, help="%(default)s")
    add("--output", type=Path, default="omniglot.png", help="%(default)s")
    arguments = parser.parse_args(argv)
    if arguments.steps < 1:
        parser.error("--steps must be at least 1")
    return arguments


def main(argv=None):
    arguments = parse_arguments(argv)
    keras.utils.set_random_seed(arguments.seed)  # of the first weights
    path = arguments.data or Path(keras.utils.get_file("omniglot_background.zip", origin=URL))
    try:
        train, test = load_tasks(*load_images(path, arguments.cache), arguments)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise SystemExit(f"Error: {error}") from None
    learner = dc.metalearning.KerasLearner(
        make_model(arguments.ways),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        tasks=train,
        metrics=["accuracy"],
    )
    maml = dc.metalearning.MAML(
        learner,
        learning_rate=arguments.inner_rate,
        optimization_steps=arguments.inner_steps,
        meta_batch_size=arguments.tasks,
        optimizer=keras.optimizers.Adam(arguments.rate),
        model_dir=arguments.model_dir,
        first_order=arguments.first_order,
        seed=arguments.seed,
    )
    curve = LearningCurve()
    maml.fit(
        arguments.steps,
        restore=tf.train.latest_checkpoint(maml.model_dir) is not None,
        callbacks=[TimeLimit(arguments.minutes), curve],
        validation=test,
        steps_per_epoch=arguments.validate_every,
    )
    print(f"\n{arguments.ways}-way {arguments.shots}-shot after {curve.points[-1][0]} meta-steps:")
    steps = sorted({0, arguments.inner_steps, arguments.test_steps})
    # Another seed than the one of the tasks that the curve is drawn from.
    print(maml.evaluate(test, n_tasks=arguments.test_tasks, optimization_steps=steps, seed=1))
    try:
        draw_picture(maml, curve, test, arguments)
    except ModuleNotFoundError:
        print('\nNo picture without matplotlib: pip install "deepchem_meta[plot]"')
    else:
        print(f"\nWrote {arguments.output}")


if __name__ == "__main__":
    main()
