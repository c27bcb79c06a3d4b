"""Reads a data set of TensorFlow Datasets (TFDS), downloaded where it is not prepared yet.

Images of one size that fit in memory are read by TFDS. Others are read record by record: of any
sizes, of TFRecord and ArrayRecord files, and those that don't fit stay there.
"""

from collections.abc import Sequence
import io
import itertools
import os
import re
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple
import urllib.error
import urllib.request

import numpy as np

from keras_aae import errors
from keras_aae import image_files
from keras_aae import reading
from keras_aae.data import encoded_images
from keras_aae.data import memory
from keras_aae.data import raw_data
from keras_aae.data import rows

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

# A data set, perhaps with its configuration and version; else, with a slash, it is a path.
_NAME = re.compile(r"\w+(/[\w.+-]+)*(:[\d.*]+)?")
_PROBE = "https://storage.googleapis.com"  # Where TFDS downloads from; any answer means a network.

# Bytes of a TFRecord file before each record, its length and a checksum of that, and behind it, one
# of its own.
_BEFORE, _BEHIND = 12, 4
_SIZES = 10_000  # Records whose sizes come at a time.


def read(name: str, data_dir: str, wanted: encoded_images.Wanted) -> raw_data.Raw:
    """Reads a data set of images with one class each.

    Args:
        name: Of the data set.
        data_dir: Where it is prepared, or is to be; empty for TFDS's own place.
        wanted: How its images are to be read.

    Raises:
        UserError: it can't be had, has other features, is damaged, takes more memory than it may,
            or no size is given and fewer than half of its images have the most common one.
    """
    builder = _builder(name, data_dir)
    if not builder.is_prepared():
        _download(builder)
    info = builder.info
    if not _has_images_of_classes(info) or "train" not in info.splits:
        raise errors.UserError(
            f"--dataset={name}: expected an image-classification data set (image, label)"
        )
    splits = [split for split in ("train", "test") if split in info.splits]
    chosen = wanted.image_size is not None or wanted.on_bad_image == "skip"
    origins: tuple[str, ...] = ()
    if chosen or _has_random_access(info) or not _fits(info, splits, wanted.max_memory):
        _check_encoded(name, info)
        found, origins = _by_record(builder, splits, wanted)
    else:
        found = [_whole(builder, split) for split in splits]
    (x_train, y_train), *tests = found
    x_test, y_test = tests[0] if tests else (rows.take(x_train, slice(0)), y_train[:0])
    classes = tuple(info.features["label"].names)
    return raw_data.Raw(x_train, y_train, x_test, y_test, classes, origins)


def is_prepared(name: str, data_dir: str = "") -> bool:
    """Whether a data set need not be downloaded; `read` says which errors there may be."""
    return _builder(name, data_dir).is_prepared()


def check(name: str, data_dir: str = "") -> None:
    """Says within seconds that a data set can't be had; TFDS would try for minutes.

    Raises:
        UserError: there is no such data set, or it is not prepared and there is no network.
    """
    builder = _builder(name, data_dir)
    if builder.is_prepared():
        return
    try:
        urllib.request.urlopen(_PROBE, timeout=4).close()
    except urllib.error.HTTPError:
        pass  # An answer: the network is there.
    except (OSError, ValueError) as error:
        raise errors.UserError(
            f"--dataset={builder.name}: not prepared in {builder.data_dir} and no network to "
            "download it. What would work: (1) --data_dir=<a folder where TFDS has prepared it>, "
            "(2) the same command on a machine with a network, "
            "(3) data that needs no download: --dataset=mnist_5k, a .npz file or an image folder"
        ) from error


def _builder(name: str, data_dir: str) -> "tfds.core.DatasetBuilder":
    if "/" in name and not _NAME.fullmatch(name):
        raise errors.UserError(f"--dataset={name}: no such folder")
    import tensorflow_datasets as tfds

    try:
        return tfds.builder(name, data_dir=data_dir or None)
    except Exception as error:  # TFDS has no common base class for an unknown or damaged data set.
        raise errors.UserError(
            f"--dataset={name}: neither a file, a folder nor a data set that TFDS knows"
        ) from error


def _download(builder: "tfds.core.DatasetBuilder") -> None:
    """Downloads and prepares a data set."""
    print(f"Downloading {builder.name} to {builder.data_dir}")
    try:
        builder.download_and_prepare()
    except Exception as error:  # Checksums, HTTP and disk errors have no common base class.
        raise errors.UserError(
            f"--dataset={builder.name}: the download failed ({reading.reason(error)})"
        ) from error


def _has_images_of_classes(info: "tfds.core.DatasetInfo") -> bool:
    """Whether each example has an image and a class."""
    import tensorflow_datasets as tfds

    features = info.features
    return (
        isinstance(features, tfds.features.FeaturesDict)
        and {"image", "label"} <= set(features)
        and isinstance(features["image"], tfds.features.Image)
        and isinstance(features["label"], tfds.features.ClassLabel)
    )


def _has_random_access(info: "tfds.core.DatasetInfo") -> bool:
    """Whether TFDS reads the files of this format by places alone."""
    import tensorflow_datasets as tfds

    return info.file_format in tfds.core.file_adapters.FileFormat.with_random_access()


def _fits(info: "tfds.core.DatasetInfo", splits: Sequence[str], max_memory: float | None) -> bool:
    """Whether the images are of one size and may be in memory."""
    image = info.features["image"]
    if None in image.shape:
        return False
    count = sum(info.splits[split].num_examples for split in splits)
    needed = memory.needed((count, *image.shape), np.dtype(image.np_dtype))
    return needed <= memory.allowed(max_memory)


def _check_encoded(name: str, info: "tfds.core.DatasetInfo") -> None:
    """Raises a UserError where `image_files` would read the images in another way than TFDS."""
    image = info.features["image"]
    dtype, channels = np.dtype(image.np_dtype), image.shape[-1]
    if dtype != np.uint8 or channels not in (1, 3):
        raise errors.UserError(
            f"--dataset={name}: its images can't be read one by one. Expected grey or RGB images "
            f"of 8 bits. Received: {dtype}, {channels} channels; of one size, in TFRecord files "
            "and within --max_memory they are read as a whole"
        )


def _whole(builder: "tfds.core.DatasetBuilder", split: str) -> tuple[np.ndarray, np.ndarray]:
    """The images and labels of a split, in the order of its files."""
    import tensorflow_datasets as tfds

    try:
        dataset = builder.as_dataset(
            split=split,
            batch_size=-1,
            shuffle_files=False,
            read_config=tfds.ReadConfig(interleave_cycle_length=1),
        )
        whole = tfds.as_numpy(dataset)
    except Exception as error:  # Whatever the record reader raises on a damaged file.
        raise _unreadable(f"{builder.name}, split {split}", error) from error
    return whole["image"], _labels(builder, split, whole["label"])


def _labels(
    builder: "tfds.core.DatasetBuilder", split: str, found: Sequence[int] | np.ndarray
) -> np.ndarray:
    """The labels of a split's records, int32.

    Raises:
        UserError: one is neither -1, unknown, nor a class.
    """
    y, classes = np.array(found, np.int64), builder.info.features["label"].num_classes
    wrong = np.flatnonzero((y < -1) | (y >= classes))
    if wrong.size:
        raise errors.UserError(
            f"{builder.name}, split {split}, record {wrong[0]}: expected a label from -1, unknown, "
            f"to {classes - 1}. Received: {y[wrong[0]]}"
        )
    return y.astype(np.int32)


def _unreadable(where: str, error: Exception) -> errors.UserError:
    return errors.UserError(f"{where}: not readable ({reading.reason(error)})")


def _by_record(
    builder: "tfds.core.DatasetBuilder", splits: Sequence[str], wanted: encoded_images.Wanted
) -> tuple[list[tuple[rows.Examples, np.ndarray]], tuple[str, ...]]:
    """The images and labels of each split, and the number of each record of the first split.

    The images are in memory where all fit.
    """
    split_records = [_Records(builder, split) for split in splits]
    images = [[_Image(each, place) for place in range(len(each))] for each in split_records]
    described = _described(builder, list(itertools.chain(*images)), wanted)
    kept = [[image for image in each if image in described] for each in images]
    if not kept[0]:
        raise errors.UserError(f"{split_records[0]}: no image is readable")
    x = encoded_images.read(builder.name, kept, described, wanted)
    places = [np.array([image.place for image in each], int) for each in kept]
    found = [
        (each, records.labels[at])
        for each, records, at in zip(x, split_records, places, strict=True)
    ]
    return found, tuple(map(str, places[0]))


def _described(
    builder: "tfds.core.DatasetBuilder",
    images: Sequence["_Image"],
    wanted: encoded_images.Wanted,
) -> encoded_images.Described:
    """What each image holds, which needs no look where TFDS knows it."""
    shape = builder.info.features["image"].shape
    if None in shape or wanted.on_bad_image == "skip":
        return encoded_images.describe(builder.name, images, wanted)
    return dict.fromkeys(images, image_files.Description(shape, has_more=False))


class _Records:
    """The records of a split, by their place in its files; `str` of it names the split.

    Attributes:
        labels: The class of each, int32 [N].

    Raises:
        UserError: a file is damaged.
    """

    def __init__(self, builder: "tfds.core.DatasetBuilder", split: str):
        import tensorflow_datasets as tfds

        self._name = f"{builder.name}, split {split}"
        try:
            if _has_random_access(builder.info):
                raw = tfds.decode.DeserializeMethod.RAW_BYTES
                self._bytes = builder.as_data_source(split, deserialize_method=raw)
            else:
                self._bytes = _TFRecords(builder.info.splits[split].filepaths)
            count, expected = len(self._bytes), builder.info.splits[split].num_examples
            if count != expected:
                raise ValueError(f"it has {count} of {expected} records")
        except Exception as error:  # Readers have no common base class for a damaged file.
            raise _unreadable(self._name, error) from error
        labels = [self._value(place, "label", "int64_list") for place in range(count)]
        self.labels = _labels(builder, split, labels)

    def __str__(self) -> str:
        return self._name

    def __len__(self) -> int:
        return len(self._bytes)

    def image(self, place: int) -> bytes:
        """An encoded image."""
        return self._value(place, "image", "bytes_list")

    def _value(self, place: int, name: str, kind: str) -> Any:
        """The one value of a feature of that kind, a field of `tf.train.Feature`."""
        import tensorflow as tf

        try:
            feature = tf.train.Example.FromString(self._bytes[place]).features.feature[name]
            values = getattr(feature, kind).value
            if len(values) != 1:
                raise ValueError(f"it has {len(values)} values of {name}")
            return values[0]
        except Exception as error:  # As above.
            raise _unreadable(f"{self}, record {place}", error) from error


class _Image(NamedTuple):
    """An `image_files.Encoded`: that of a record."""

    records: _Records
    place: int

    def open(self) -> io.BytesIO:
        """Its bytes, as those of a file."""
        return io.BytesIO(self.records.image(self.place))

    def __str__(self) -> str:
        return f"{self.records}, record {self.place}"


class _TFRecords:
    """The records of TFRecord files, by their place in all of them.

    Raises:
        ValueError: a file is damaged.
    """

    def __init__(self, paths: Sequence[os.PathLike]):
        self._paths = paths
        self._marks = [reading.mark(os.stat(path)) for path in paths]
        spans = [_spans(path) for path in paths]
        self._spans = np.concatenate(spans)
        self._files = np.repeat(np.arange(len(paths)), [len(each) for each in spans])

    def __len__(self) -> int:
        return len(self._spans)

    def __getitem__(self, place: int) -> bytes:
        start, length = self._spans[place]
        path, mark = self._paths[self._files[place]], self._marks[self._files[place]]
        with reading.open_regular(path) as file:
            if reading.mark(os.fstat(file.fileno())) != mark:
                raise ValueError(f"{path} changed while it was in use")
            file.seek(start)
            return file.read(length)


def _spans(path: os.PathLike) -> np.ndarray:
    """Where each record of a TFRecord file begins, and how many bytes it has, int64 [N, 2].

    TensorFlow reads the whole file for that, and checks each record against its checksum.
    """
    import tensorflow as tf

    with reading.open_regular(path):  # It would wait for a pipe.
        pass
    try:
        sizes = tf.data.TFRecordDataset(os.fspath(path)).map(tf.strings.length).batch(_SIZES)
        lengths = np.concatenate([np.zeros(0, np.int64), *sizes.as_numpy_iterator()])
    except tf.errors.OpError as error:
        raise ValueError(
            f"{os.path.basename(path)} has a damaged record, or ends in one"
        ) from error
    ends = np.cumsum(_BEFORE + lengths + _BEHIND)
    return np.stack([ends - _BEHIND - lengths, lengths], axis=1).astype(np.int64)
