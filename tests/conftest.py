"""What the tests share: two logical CPU devices, tiny images, and the command line in a process."""

import os
import pathlib
import signal
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pytest
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

# Started in a shell's background, tests are deaf to Ctrl-C, and so would be the commands they run.
signal.signal(signal.SIGINT, signal.default_int_handler)

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
    return {
        name: (generator.random((count, *spec.shape[1:])) * limits[spec.dtype]).astype(
            spec.dtype.as_numpy_dtype
        )
        for name, spec in signature.structured_input_signature[1].items()
    }


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


def command(*arguments):
    return [sys.executable, "-m", "keras_aae.launch", *(str(argument) for argument in arguments)]


def launch(*arguments, cwd, **kwargs):
    """Runs the command line to its end; returns the finished process with its output."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        **kwargs,
    )
