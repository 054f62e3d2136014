"""Reads pictures of many files into one array."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from deepchem_meta._checks import check_count, check_option
from deepchem_meta.tasks._arguments import listed
from deepchem_meta.tasks._image_folders import ImageFiles

if TYPE_CHECKING:
    import tensorflow as tf

__all__ = ["ImageForm", "read_images"]

_CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}
_INTERPOLATIONS = (
    *("area", "bicubic", "bilinear", "gaussian"),
    *("lanczos3", "lanczos5", "mitchellcubic", "nearest"),
)
_AT_ONCE = 64  # pictures that go into the array at once
_OP = re.compile(r"\{\{.*?\}\}|\[Op:.*", re.DOTALL)  # what TensorFlow says of its own function


class ImageForm(NamedTuple):
    """What pictures are made into.

    Attributes
    ----------
    shape : tuple of int
        (height, width, channels).
    interpolation : str
        How they are resized.
    """

    shape: tuple[int, int, int]
    interpolation: str

    @classmethod
    def check(cls, image_size: Any, color_mode: str, interpolation: str) -> ImageForm:
        """Return the form that these arguments say, or raise."""
        check_option("color_mode", color_mode, tuple(_CHANNELS))
        check_option("interpolation", interpolation, _INTERPOLATIONS)
        if isinstance(image_size, (tuple, list)) and len(image_size) == 2:
            height, width = (check_count("image_size", side, minimum=1) for side in image_size)
        else:
            height = width = check_count("image_size", image_size, minimum=1)
        return cls((height, width, _CHANNELS[color_mode]), interpolation)


def read_images(files: ImageFiles, form: ImageForm, out: np.ndarray) -> None:
    """Decode and resize pictures, several at a time.

    Parameters
    ----------
    files : ImageFiles
    form : ImageForm
    out : uint8 array of shape (pictures, height, width, channels)
        Is filled with them. The numbers of `tf.image.resize` are rounded, and those that an
        interpolation makes below 0 or above 255 become these.

    Raises
    ------
    ValueError
        If files cannot be read; it names the first five.
    """
    import tensorflow as tf

    paths = [str(files.root / path) for path in files.paths]

    def load(path):
        return _load(path, form)

    dataset = tf.data.Dataset.from_tensor_slices(paths)
    dataset = dataset.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    start = 0
    try:
        for batch in dataset.batch(_AT_ONCE).prefetch(tf.data.AUTOTUNE).as_numpy_iterator():
            out[start : start + len(batch)] = batch
            start += len(batch)
    except tf.errors.OpError as error:
        _refuse_unreadable(files, form, error)
        raise


def _load(path: Any, form: ImageForm) -> tf.Tensor:
    """Return a picture as `keras.utils.image_dataset_from_directory` gives it, as uint8."""
    import tensorflow as tf

    height, width, channels = form.shape
    data = tf.io.read_file(path)
    image = tf.io.decode_image(data, channels=channels, expand_animations=False)
    image = tf.image.resize(image, (height, width), form.interpolation)
    image = tf.clip_by_value(tf.round(tf.cast(image, tf.float32)), 0.0, 255.0)
    return tf.ensure_shape(tf.cast(image, tf.uint8), form.shape)


def _refuse_unreadable(files: ImageFiles, form: ImageForm, cause: Exception) -> None:
    """Raise ValueError with the files that cannot be read, if there are any."""
    import tensorflow as tf

    reasons: dict[str, str] = {}
    for path in files.paths:
        try:
            _load(str(Path(files.root, path)), form)
        except tf.errors.OpError as error:
            reasons[path] = _OP.sub("", error.message).strip()
    if reasons:
        raise ValueError(
            f"Pictures must be files that TensorFlow decodes with {form.shape[2]} channels. "
            f"Received: {len(reasons)} of {len(files.paths)} in {str(files.root)!r} that it does "
            f"not: {listed(reasons)}. Of the first it says: {next(iter(reasons.values()))}"
        ) from cause
