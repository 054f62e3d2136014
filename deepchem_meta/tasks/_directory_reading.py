"""Makes sources of few-shot classification from folders of pictures."""

from __future__ import annotations

import os
from typing import Any, TypeVar

import numpy as np

from deepchem_meta._checks import check_option
from deepchem_meta.tasks._array_cache import check_cache, mapped
from deepchem_meta.tasks._image_folders import find_images
from deepchem_meta.tasks._image_reading import ImageForm, read_images

__all__ = ["DirectoryReading"]

Source = TypeVar("Source", bound="DirectoryReading")

_CACHE_FORMAT = 1  # to be raised when other pictures come of the same files


class DirectoryReading:
    """The constructor of `FewShotClassificationTasks` that reads pictures."""

    x: Any
    _unit_range: bool

    @classmethod
    def from_directory(
        cls: type[Source],
        path: str | os.PathLike,
        *,
        image_size: int | tuple[int, int],
        color_mode: str = "rgb",
        ways: int = 5,
        shots: int = 1,
        queries: int = 15,
        rotations: bool = False,
        interpolation: str = "bilinear",
        dtype: str = "float32",
        cache: str | os.PathLike | None = None,
    ) -> Source:
        """Read a folder of pictures that has a folder for each class.

        The pictures are those of `keras.utils.image_dataset_from_directory`: files ending in
        .bmp, .gif, .jpeg, .jpg or .png, of a GIF the first frame, resized without regard to their
        proportions. Folders of folders are classes by their whole name: the pictures
        ``Greek/alpha/1.png`` and ``Greek/alpha/2.png`` are of the class "Greek/alpha".

        Parameters
        ----------
        path : str or path
            The folder. In it and below it, names that begin with a dot do not count, nor do
            pictures that lie beside the classes' folders.
        image_size : int or tuple of two int
            Height and width of the pictures, in pixels.
        color_mode : {"rgb", "grayscale", "rgba"}, default "rgb"
            Whether they have 3 channels, 1 or 4.
        ways, shots, queries, rotations : optional
            As in the constructor.
        interpolation : str, default "bilinear"
            How pictures are resized: "area", "bicubic", "bilinear", "gaussian", "lanczos3",
            "lanczos5", "mitchellcubic" or "nearest", as `tf.image.resize` does without
            antialiasing. "area" is the mean, and best to make pictures much smaller.
        dtype : {"float32", "uint8"}, default "float32"
            Whether tasks have float32 in [0, 1], or uint8 from 0 to 255. For the latter let the
            model begin with ``keras.layers.Rescaling(1 / 255)``.
        cache : str or path, optional
            A folder to keep the pictures in, from which they are then mapped into memory. By
            default, they are decoded each time and lie in memory.

        Returns
        -------
        FewShotClassificationTasks
            Its `class_names` are the folders, in sorted order. Its `x` holds the pictures as uint8,
            whatever `dtype` is.

        Raises
        ------
        TypeError
            If an argument has a wrong type.
        ValueError
            If `path` is no folder or has none in it, a folder is empty or has pictures and
            folders, pictures cannot be read, and as the constructor does.

        Examples
        --------
        >>> import tempfile
        >>> import numpy as np
        >>> import tensorflow as tf
        >>> from deepchem_meta.tasks import FewShotClassificationTasks
        >>> rng = np.random.default_rng(0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("cat", "dog", "owl"):
        ...         for i in range(4):
        ...             picture = tf.io.encode_png(rng.integers(0, 256, (40, 30, 3), "uint8"))
        ...             tf.io.write_file(f"{folder}/{name}/{i}.png", picture)
        ...     tasks = FewShotClassificationTasks.from_directory(
        ...         folder, image_size=28, ways=2, queries=3
        ...     )
        >>> tasks.class_names
        ['cat', 'dog', 'owl']
        >>> (x, y), query = tasks.sample(4, rng)
        >>> x.shape, x.dtype
        ((4, 2, 28, 28, 3), dtype('float32'))

        Notes
        -----
        Stored are bytes, in memory and in the cache: a picture of 84 × 84 pixels and 3 channels
        takes 21 kB. Rounding to them changes a picture by 1/510 at most.

        A file of the cache is for the relative paths, sizes and times of change of the pictures,
        and for `image_size`, `color_mode` and `interpolation`: where one of them changes, or the
        file is damaged, another is made. Files of earlier contents stay; they may be deleted at
        any time. Each call reads the file once, to see whether it is whole.
        """
        form = ImageForm.check(image_size, color_mode, interpolation)
        check_option("dtype", dtype, ("float32", "uint8"))
        cache = check_cache(cache)
        files = find_images(path, skip=None if cache is None else cache.resolve())
        shape = (len(files.paths), *form.shape)
        # Too few classes or pictures are found before any is decoded.
        labels = np.array(files.class_names)[files.labels]
        blank = np.broadcast_to(np.uint8(0), shape)
        tasks = cls(blank, labels, ways=ways, shots=shots, queries=queries, rotations=rotations)
        if cache is None:
            stored = np.empty(shape, np.uint8)
            read_images(files, form, stored)
        else:
            key = [_CACHE_FORMAT, form, files.paths, files.stamps]
            name = files.root.resolve().name
            stored = mapped(cache, name, key, shape, lambda out: read_images(files, form, out))
        tasks.x, tasks._unit_range = stored, dtype == "float32"
        return tasks
