"""Exports read without Python: by a program on TensorFlow's C API, and by OpenVINO."""

import pathlib
import shutil
import subprocess

from conftest import rows
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_aae import models
from keras_aae.deployment import export


@pytest.fixture(scope="module", params=["vae", "supervised", "semisup", "clustering"])
def exported(request, tmp_path_factory):
    """The folder of a model's export, with its default networks, and its signatures in Python."""
    model = models.get(request.param)((28, 28, 1), seed=0)
    path = export.export(model, tmp_path_factory.mktemp("models") / request.param)
    return path, tf.saved_model.load(str(path)).signatures


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The compiled read_saved_model.c."""
    compiler = shutil.which("cc")
    package = pathlib.Path(tf.sysconfig.get_lib())
    libraries = ("libtensorflow_cc.so.2", "libtensorflow_framework.so.2")
    if not compiler or not all((package / name).exists() for name in libraries):
        pytest.skip("wants a C compiler, and TensorFlow's wheel for Linux with its libraries")
    target = tmp_path_factory.mktemp("program") / "read_saved_model"
    source = pathlib.Path(__file__).with_name("read_saved_model.c")
    arguments = ["-O1", f"-I{tf.sysconfig.get_include()}"]
    linked = [f"-L{package}", *(f"-l:{name}" for name in libraries), f"-Wl,-rpath,{package}"]
    subprocess.run([compiler, *arguments, source, "-o", target, *linked], check=True)
    return target


class Reader:
    """Runs the program on a SavedModel, once for any number of requests.

    Requests are pairs of a signature's name and its inputs; an answer is a pair of a status code
    and the outputs by name, or the message where the status is not OK.
    """

    def __init__(self, program, saved_model):
        content = (saved_model / "saved_model.pb").read_bytes()
        (graph,) = saved_model_pb2.SavedModel.FromString(content).meta_graphs
        self._command = [program, saved_model]
        self._signatures = graph.signature_def

    def __call__(self, requests, folder):
        paths = folder / "requests", folder / "answers"
        paths[0].write_bytes(b"".join(self._request(*each) for each in requests))
        subprocess.run([*self._command, *paths], check=True, timeout=120)
        with paths[1].open("rb") as file:
            return [self._answer(name, file) for name, _ in requests]

    def _request(self, name, inputs):
        signature = self._signatures[name]
        lines = [f"{len(inputs)} {len(signature.outputs)}\n".encode()]
        for key, value in inputs.items():
            operation = _place(signature.inputs[key])
            lines += [f"{operation} {_header(value)}\n".encode(), value.tobytes()]
        lines += [f"{_place(tensor)}\n".encode() for tensor in signature.outputs.values()]
        return b"".join(lines)

    def _answer(self, name, file):
        status, length, count = _numbers(file)
        message = file.read(length).decode()
        if not count:
            return status, message
        return status, {key: _tensor(file) for key in self._signatures[name].outputs}


def _place(tensor):
    """`<operation> <index>`."""
    return tensor.name.replace(":", " ")


def _header(value):
    dtype = tf.as_dtype(value.dtype).as_datatype_enum
    return " ".join(map(str, [dtype, value.ndim, *value.shape, value.nbytes]))


def _numbers(file):
    return [int(word) for word in file.readline().split()]


def _tensor(file):
    dtype, _, *shape, size = _numbers(file)
    return np.frombuffer(file.read(size), tf.as_dtype(dtype).as_numpy_dtype).reshape(shape)


def check(answer, expected, case, atol):
    assert set(answer) == set(expected), case
    for key, value in expected.items():
        assert answer[key].shape == value.shape, case
        np.testing.assert_allclose(answer[key], value, atol=atol, err_msg=str(case))


def constants(inputs):
    return {key: tf.constant(value) for key, value in inputs.items()}


def test_a_program_without_python_gets_the_same_numbers(program, exported, tmp_path):
    path, signatures = exported
    requests = [
        (name, rows(signature, count))
        for name, signature in signatures.items()
        if not name.endswith("_bytes")  # C has strings in a form of TensorFlow's own.
        for count in (0, 1, 5)
    ]
    answers = Reader(program, path)(requests, tmp_path)
    for (name, inputs), (status, answer) in zip(requests, answers, strict=True):
        case = name, len(next(iter(inputs.values())))
        assert status == tf.errors.OK, (case, answer)
        check(answer, signatures[name](**constants(inputs)), case, atol=1e-6)


def test_a_class_that_is_not_there_is_an_invalid_argument(program, exported, tmp_path):
    path, signatures = exported
    requests = [
        (name, inputs | {key: np.array(values, np.int32)})
        for name, signature in signatures.items()
        for inputs in [rows(signature, 3)]
        for key in {"label", "cluster"} & set(inputs)
        for values in ([99, 99, 99], [-1, 0, 1], [0, 1, -(2**31)], [0, 1, 2])
    ]
    if not requests:
        return
    answers = Reader(program, path)(requests, tmp_path)
    for (name, inputs), (status, answer) in zip(requests, answers, strict=True):
        (values,) = (inputs[key] for key in ("label", "cluster") if key in inputs)
        if list(values) == [0, 1, 2]:
            assert status == tf.errors.OK, (name, answer)
        else:
            assert status == tf.errors.INVALID_ARGUMENT, name
            assert "Expected each cl" in answer and str(values.max()) in answer


def test_openvino_gets_the_same_numbers_for_any_batch(exported):
    openvino = pytest.importorskip("openvino", reason="wants `pip install openvino`")
    path, signatures = exported
    model = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for count in (1, 5, 0, 3):
        inputs = rows(signatures["serving_default"], count)
        outputs = {key.any_name: value for key, value in model(inputs).items()}
        expected = signatures["serving_default"](**constants(inputs))
        check(outputs, expected, count, atol=5e-6)
