"""Data files that somebody else made, or something damaged."""

import io
import os
import struct
import tracemalloc
import zipfile

from conftest import PROPERTY
from conftest import assert_checked
from conftest import damaged
import hypothesis
from hypothesis import strategies
from hypothesis.extra import numpy as arrays_of
import numpy as np
import pytest

from keras_aae import data
from keras_aae import errors
from keras_aae.data import npz
from keras_aae.data import sources

ARRAYS = {
    "x_train": np.arange(4 * 3 * 3, dtype=np.uint8).reshape(4, 3, 3),
    "y_train": np.array(["dog", "", "cat", "dog"]),
    "x_test": np.zeros((2, 3, 3), np.uint8),
    "y_test": np.array(["cat", "dog"]),
}


def saved(path, save=np.savez, **arrays):
    save(path, **arrays)
    return path


def archive(path, **members):
    """An .npz file of such bytes, whatever they are."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(f"{name}.npy", content)
    return path


def npy(header, content=b"", version=b"\x01\x00"):
    text = header.encode("latin1")
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + content


def header(descr="'|u1'", shape="(2,)", order="False"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}"


def refusal(path, names=("x_train",)):
    with pytest.raises(errors.UserError) as caught:
        npz.read(path, names)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_the_arrays_asked_for_are_read_and_others_are_left(tmp_path):
    path = saved(tmp_path / "x.npz", **ARRAYS, objects=np.array([{}], object))
    found = npz.read(path, ["x_train"], ["y_train", "y_none"])
    assert list(found) == ["x_train", "y_train"]
    for name, array in found.items():
        np.testing.assert_array_equal(array, ARRAYS[name])
    assert "expected an array z. It has: x_train, y_train, x_test" in refusal(path, ["z"])


def test_arrays_of_every_order_and_dtype_are_read_as_numpy_does(tmp_path):
    whole = np.arange(24, dtype=">f4").reshape(2, 3, 4)
    made = {"x": np.asfortranarray(whole), "y": whole[0, 0], "z": np.array(3.0)}
    path = saved(tmp_path / "x.npz", np.savez_compressed, **made)
    for name, array in npz.read(path, list(made)).items():
        np.testing.assert_array_equal(array, made[name])
        assert array.dtype == made[name].dtype


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (npy(header(shape="(2,"), b"ab"), "("),
        (npy(header(descr="'|u9'"), b"ab"), "valid dtype"),
        (npy(header(descr="'|O'"), b"ab"), "x_train holds pickled objects"),
        (npy(header(shape="(-1, -2)"), b"ab"), "("),
        (npy(header(shape="(3,)"), b"ab"), "x_train is not as long as it says"),
        (npy(header(shape="(1,)"), b"ab"), "x_train is not as long as it says"),
        (npy(header(shape="(2**60,)"), b"ab"), "malformed"),
        (npy(header(shape=f"({2**70}, 0)")), "("),
        (npy(header(shape=f"({2**62}, 4)")), "x_train is not as long as it says"),
        (npy(header(shape="(" * 3000)), "("),
        (npy(header(), b"ab", version=b"\x09\x00"), "("),
        (npy(header(shape="(-2, -1)"), b"ab"), "x_train has a negative size"),
        (npy("x" * 20_000, b"ab"), "it has a header of 20000 bytes"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\x7f  ", "it has a header of 2147483647 bytes"),
        (b"no array", "magic string"),
        (b"", "("),
    ],
)
def test_a_bad_header_is_refused(tmp_path, content, fault):
    message = refusal(archive(tmp_path / "x.npz", x_train=content))
    assert f"{tmp_path}/x.npz: not a readable .npz file (" in message
    assert fault in message


def test_an_array_without_bytes_is_no_way_around_the_bounds(tmp_path):
    path = archive(tmp_path / "x.npz", x_train=npy(header(shape="(1000000000, 0, 3)")))
    with pytest.raises(errors.UserError, match=r"expected no empty axis. Received: \[1000000000"):
        sources.read(str(path))


def test_a_size_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, x_train=np.zeros((1000, 100, 100), np.uint8))
    assert path.stat().st_size < 20_000
    assert npz.read(path, ["x_train"], max_memory=0.01)["x_train"].nbytes == 1e7
    tracemalloc.start()
    with pytest.raises(errors.UserError, match=r"x.npz: takes about 0.01 GB .* at most 0.009 GB"):
        npz.read(path, ["x_train"], max_memory=0.009)
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


def test_float_arrays_count_with_their_copies(tmp_path):
    path = saved(tmp_path / "x.npz", x_train=np.zeros((10, 10, 10)), y_train=np.zeros(10, np.int64))
    with pytest.raises(errors.UserError, match=r"takes about 2\.42e-05 GB"):
        npz.read(path, ["x_train"], ["y_train"], max_memory=2e-5)


def test_a_pipe_a_device_and_a_long_name_are_refused(tmp_path, no_hang):
    os.mkfifo(tmp_path / "x.npz")
    assert refusal(tmp_path / "x.npz").endswith("not a readable .npz file (not a regular file)")
    assert "not a regular file" in refusal("/dev/zero")
    assert "not a regular file" in refusal(tmp_path)
    assert "No such file" in refusal(tmp_path / "gone.npz")
    assert "File name too long" in refusal(tmp_path / ("x" * 300 + ".npz"))


# Whatever is in a file, reading it ends in checked data or in a UserError.


def read_or_refuse(path):
    """Reads data, which must be fine or refused."""
    try:
        raw = sources.read(str(path))
    except errors.UserError as error:
        assert str(path) in str(error)
        assert "\n" not in str(error)
        return
    assert_checked(raw)


def written(save, *args, **arrays):
    buffer = io.BytesIO()
    save(buffer, *args, **arrays)
    return buffer.getvalue()


WHOLE = written(np.savez_compressed, **ARRAYS)
EXAMPLES = data.Dataset(
    *[data.Split(np.arange(12, dtype=np.uint8).reshape(3, 2, 2, 1), np.arange(3, dtype=np.int32))]
    * 3,
    tuple("abc"),
).to_bytes()


@hypothesis.given(content=damaged(WHOLE))
@PROPERTY
def test_a_damaged_file_is_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    path.write_bytes(content)
    read_or_refuse(path)


@hypothesis.given(
    x=damaged(written(np.save, ARRAYS["x_train"])), y=damaged(written(np.save, ARRAYS["y_train"]))
)
@PROPERTY
def test_damaged_arrays_in_a_whole_file_are_read_or_refused(tmp_path_factory, x, y):
    path = tmp_path_factory.getbasetemp() / "members.npz"
    read_or_refuse(archive(path, x_train=x, y_train=y))


@hypothesis.given(content=damaged(EXAMPLES))
@PROPERTY
def test_damaged_examples_of_a_run_are_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "examples.npz"
    path.write_bytes(content)
    try:
        dataset = data.Dataset.read(path)
    except errors.UserError as error:
        assert str(path) in str(error)
        return
    for split in dataset[:3]:
        assert len(split.x) == len(split.y)
        assert not split.y.size or split.y.max() < len(dataset.classes)


def any_array():
    """An array of any dtype and shape."""
    shapes = arrays_of.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4)
    dtypes = strategies.one_of(
        arrays_of.scalar_dtypes(), arrays_of.nested_dtypes(max_leaves=2, max_itemsize=40)
    )
    return arrays_of.arrays(dtypes, shapes)


@strategies.composite
def likely_arrays(draw):
    """Arrays that have a chance of fitting together."""
    dtype = np.dtype(draw(strategies.sampled_from(["u1", "f2", ">f4", "f8", "g"])))
    tail = draw(strategies.sampled_from([(3,), (2, 2), (2, 2, 1), (2, 2, 3), (0, 2), (2, 2, 0)]))
    pixels = None if dtype.kind == "u" else strategies.floats(0, 1, width=16)
    made = {}
    for part in ("train", "test"):
        count = draw(strategies.integers(0, 4))
        labels = draw(strategies.sampled_from(["i1", ">i8", "u8", "U2", ">U3", "U0", "S2"]))
        made[f"x_{part}"] = draw(arrays_of.arrays(dtype, (count, *tail), elements=pixels))
        made[f"y_{part}"] = draw(arrays_of.arrays(np.dtype(labels), (count,)))
    return {name: array for name, array in made.items() if draw(strategies.integers(0, 9))}


@hypothesis.given(
    arrays=strategies.one_of(
        strategies.dictionaries(strategies.sampled_from(list(ARRAYS)), any_array()),
        likely_arrays(),
    )
)
@PROPERTY
@pytest.mark.filterwarnings("ignore")
def test_any_arrays_are_read_or_refused(tmp_path_factory, arrays):
    path = tmp_path_factory.getbasetemp() / "arrays.npz"
    np.savez(path, **arrays)
    read_or_refuse(path)
