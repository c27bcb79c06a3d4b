"""What the tests share: two logical CPU devices, tiny images, and the command line in a process."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")  # Several processes share the cores.

from absl import flags
import hypothesis
from hypothesis import strategies
import numpy as np
import processes
import pytest
import tensorflow as tf

from keras_aae import experiment
from keras_aae import launch as launcher

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

# Started in a shell's background, or by nohup, tests are deaf to these signals, and so would be the
# commands that they run.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# What a property is tried with: the same examples every time.
PROPERTY = hypothesis.settings(
    max_examples=100,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)

ROOT = pathlib.Path(__file__).resolve().parent.parent


def bars(count, seed=0, classes=3, side=12):
    """uint8 images [count, side, side, 1] of a bright bar whose height gives the class; labels."""
    generator = np.random.default_rng(seed)
    labels = (np.arange(count) % classes).astype(np.int32)
    images = generator.integers(0, 60, (count, side, side, 1))
    for image, label in zip(images, labels, strict=True):
        top = label * (side // classes)
        image[top : top + side // classes, generator.integers(0, 4) :] += 180
    return images.astype(np.uint8), labels


def rows(signature, count):
    """So many rows for each input of a loaded signature; of labels and clusters 0 to 2."""
    generator = np.random.default_rng(0)
    limits = {tf.uint8: 256, tf.int32: 3, tf.int64: 1000, tf.float32: 1}

    def values(spec):
        if spec.dtype == tf.string:
            pictures = generator.integers(0, 256, (count, 5, 7, 3), np.uint8)
            return np.array([tf.io.encode_png(each).numpy() for each in pictures], "S")
        drawn = generator.random((count, *spec.shape[1:])) * limits[spec.dtype]
        return drawn.astype(spec.dtype.as_numpy_dtype)

    return {name: values(spec) for name, spec in signature.structured_input_signature[1].items()}


@pytest.fixture(scope="session")
def bars_npz(tmp_path_factory):
    """An .npz file with 150 training and 60 test images of three classes."""
    path = tmp_path_factory.mktemp("data") / "bars.npz"
    (x_train, y_train), (x_test, y_test) = bars(150), bars(60, seed=1)
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return path


SMOKE = (
    *("--labels=30", "--style_size=2", "--steps=6", "--evaluate_every=2"),
    *("--batch_size=12", "--labelled_batch_size=6"),
)


def config_of(*arguments):
    """The settings that arguments of the command line ask for."""
    values = flags.FlagValues()
    launcher.define_flags(values)
    return launcher.read_config(["launch", *map(str, arguments)], values)


def run_here(*arguments):
    """What the command line does with these arguments, in this process; the results of the run."""
    return experiment.run(config_of(*arguments))


def command(*arguments):
    return [sys.executable, "-m", "keras_aae.launch", *(str(argument) for argument in arguments)]


def launch(*arguments, cwd, stdout=subprocess.PIPE, **kwargs):
    """Runs the command to its end; returns the finished process with its output."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=environment,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=300,
        **kwargs,
    )


def fork(*arguments, cwd):
    """As `launch`, in a process that begins where the libraries are imported."""
    with tempfile.TemporaryDirectory() as folder:
        stdout, stderr = (pathlib.Path(folder) / name for name in ("stdout", "stderr"))
        process = processes.start(arguments, cwd, stdout, stderr)
        process.join(300)
        assert process.exitcode is not None
        output = (path.read_text() for path in (stdout, stderr))
        return subprocess.CompletedProcess(arguments, process.exitcode, *output)


@pytest.fixture(autouse=True)
def numbers_of_collective_operations():
    """Other ones in every test: each strategy counts from 1, and TensorFlow takes equal for one."""
    tf.distribute.MirroredStrategy._collective_key_base += 100_000


@pytest.fixture
def no_hang():
    """Fails a test that takes more than ten seconds, as one does that waits for a pipe."""

    def fail(*_):
        pytest.fail("it hangs")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@strategies.composite
def damaged(draw, whole):
    """The bytes of a file with some of them changed, cut off or put in."""
    content = bytearray(whole)
    for position in draw(strategies.lists(strategies.integers(0, len(whole) - 1), max_size=6)):
        content[position] = draw(strategies.integers(0, 255))
    start, stop = sorted(draw(strategies.tuples(*[strategies.integers(0, len(whole))] * 2)))
    cut = draw(strategies.sampled_from(["none", "end", "middle"]))
    if cut == "end":
        del content[stop:]
    elif cut == "middle":
        content[start : min(stop, start + 40)] = draw(strategies.binary(max_size=40))
    return bytes(content)


def assert_checked(raw):
    """Whether a data set is what `raw_data.Raw` promises."""
    for x, y in ((raw.x_train, raw.y_train), (raw.x_test, raw.y_test)):
        assert (x.dtype, x.ndim) in ((np.uint8, 4), (np.float32, 2))
        assert x.shape[1:] == raw.x_train.shape[1:]
        assert x.ndim == 2 or x.shape[3] in (1, 3, 4)
        assert np.isfinite(x).all()
        assert (y.dtype, y.shape) == (np.int32, (len(x),))
        assert not y.size or -1 <= y.min() <= y.max() < len(raw.classes)
    assert all(name.encode() and len(name.splitlines()) == 1 for name in raw.classes)


@contextlib.contextmanager
def mounted(place, options):
    """A disk in memory with mount's options, at a folder that it makes; skips where it can't be."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    if os.getuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a disk can only be mounted by root where that is allowed")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)
