"""The contract of a served model over loopback, with TF Serving's own protos and stubs.

Where tensorflow_model_server is on the PATH the same tests run against it, else against the
stand-in of model_server.py.
"""

import base64
import contextlib
import runpy
import shutil
import socket
import subprocess
import sys
import time

from conftest import ROOT
from conftest import bars
import grpc
import model_server
import numpy as np
from PIL import Image
import pytest
import requests
import tensorflow as tf
from tensorflow_serving.apis import get_model_metadata_pb2
from tensorflow_serving.apis import get_model_status_pb2
from tensorflow_serving.apis import model_service_pb2_grpc
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc
from test_models import make

from keras_aae.deployment import export

sys.path.insert(0, str(ROOT / "examples"))
GRPC_EXAMPLE = runpy.run_path(str(ROOT / "examples/classify_grpc.py"))
REST_EXAMPLE = runpy.run_path(str(ROOT / "examples/classify_rest.py"))


@contextlib.contextmanager
def real_server(program, base):
    """The real server on the model base; gives the addresses of gRPC and REST."""
    config = base / "models.config"
    config.write_text(config.read_text().replace('"/models/', f'"{base}/'))
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    batching = ROOT / "saved_models/batching.config"
    process = subprocess.Popen(
        [
            program,
            f"--port={ports[0]}",
            f"--rest_api_port={ports[1]}",
            f"--model_config_file={config}",
            "--allow_version_labels_for_unavailable_models",
            "--enable_batching",
            f"--batching_parameters_file={batching}",
        ]
    )
    deadline = time.monotonic() + 60
    try:
        while time.monotonic() < deadline:
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(f"http://127.0.0.1:{ports[1]}/v1/models/digits", timeout=5).ok:
                    break
            time.sleep(0.2)
        yield tuple(f"127.0.0.1:{port}" for port in ports)
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Two versions of a model, the stable one and the canary; the addresses of gRPC and REST."""
    base = tmp_path_factory.mktemp("base")
    versions = [make("semisup", seed=seed) for seed in (1, 2)]
    for model in versions:
        export.export(model, base / "digits")
    program = shutil.which("tensorflow_model_server")
    with real_server(program, base) if program else model_server.serving(base) as addresses:
        yield versions, *addresses


def request(inputs, signature="classify", **spec):
    message = predict_pb2.PredictRequest()
    message.model_spec.name = spec.get("name", "digits")
    message.model_spec.signature_name = signature
    if "label" in spec:
        message.model_spec.version_label = spec["label"]
    for key, value in inputs.items():
        message.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return message


def predict(address, *arguments, **spec):
    with grpc.insecure_channel(address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        outputs = stub.Predict(request(*arguments, **spec), timeout=30).outputs
    return {key: tf.make_ndarray(value) for key, value in outputs.items()}


@pytest.mark.parametrize("count", [1, 7])
def test_predict_gives_what_the_model_gives(served, count):
    (stable, canary), address, _ = served
    images = bars(count)[0]
    for label, model in (("stable", stable), ("canary", canary)):
        answer = predict(address, {"image": images}, label=label)
        expected = model.classify(images)
        np.testing.assert_array_equal(answer["class"], expected["class"])
        np.testing.assert_allclose(
            answer["class_probabilities"], expected["class_probabilities"], atol=1e-5
        )


def test_every_signature_is_served(served):
    (stable, _), address, _ = served
    images, labels = bars(3)
    code = predict(address, {"image": images}, "encode", label="stable")
    parts = {part: code[part] for part in stable.parts}
    decoded = predict(address, parts, "decode", label="stable")["image"]
    np.testing.assert_allclose(decoded, stable(images), atol=1e-5)
    seeds = {"seed": np.array([5, 6, 5]), "label": labels}
    seeds["label"][2] = labels[0]
    drawn = predict(address, seeds, "generate", label="stable")["image"]
    np.testing.assert_allclose(drawn[0], drawn[2], atol=1e-6)
    moved = predict(address, {"image": images, "label": labels}, "transfer", label="stable")
    np.testing.assert_allclose(moved["image"], stable.transfer(images, labels), atol=1e-5)


def test_an_image_file_can_be_sent_as_it_is(served):
    (stable, _), address, rest = served
    image = bars(1)[0][0]
    content = tf.io.encode_png(image).numpy()
    expected = stable.classify(image[None])["class_probabilities"]
    answer = predict(address, {"image_bytes": [content]}, "classify_bytes", label="stable")
    np.testing.assert_allclose(answer["class_probabilities"], expected, atol=1e-5)
    body = {
        "signature_name": "classify_bytes",
        "instances": [{"image_bytes": {"b64": base64.b64encode(content).decode()}}],
    }
    url = f"http://{rest}/v1/models/digits/labels/stable:predict"
    (row,) = requests.post(url, json=body, timeout=30).json()["predictions"]
    np.testing.assert_allclose([row["class_probabilities"]], expected, atol=1e-5)


IMAGE = np.zeros((2, 12, 12, 1), np.uint8)


@pytest.mark.parametrize(
    ("inputs", "spec", "code"),
    [
        ({"image": IMAGE[:, :11]}, {}, "INVALID_ARGUMENT"),
        ({"image": IMAGE[0]}, {}, "INVALID_ARGUMENT"),
        ({"image": IMAGE.astype(np.float32)}, {}, "INVALID_ARGUMENT"),
        ({"image": np.array([b"\xff\x00 no image"])}, {}, "INVALID_ARGUMENT"),
        ({"picture": IMAGE}, {}, "INVALID_ARGUMENT"),
        ({}, {}, "INVALID_ARGUMENT"),
        ({"image": np.zeros((2000, 12, 12, 1), np.uint8)}, {}, "INVALID_ARGUMENT"),
        ({"image": IMAGE}, {"signature": "fly"}, "FAILED_PRECONDITION"),
        ({"image": IMAGE}, {"name": "letters"}, "NOT_FOUND"),
    ],
)
def test_a_bad_request_gets_its_code_and_the_server_stays_up(served, inputs, spec, code):
    (stable, _), address, _ = served
    with pytest.raises(grpc.RpcError) as caught:
        predict(address, inputs, **spec)
    assert caught.value.code().name == code
    answer = predict(address, {"image": IMAGE}, label="stable")
    np.testing.assert_array_equal(answer["class"], stable.classify(IMAGE)["class"])


def test_no_images_get_no_classes_or_a_clear_refusal(served):
    """The real server's batching refuses a batch of size zero, a server without it does not."""
    _, address, rest = served
    try:
        assert predict(address, {"image": IMAGE[:0]})["class"].shape == (0,)
    except grpc.RpcError as error:
        assert error.code().name == "INVALID_ARGUMENT"
    body = {"signature_name": "classify", "inputs": {"image": []}}
    answer = requests.post(f"http://{rest}/v1/models/digits:predict", json=body, timeout=30)
    assert answer.status_code == 400 and answer.json()["error"]
    assert predict(address, {"image": IMAGE})["class"].shape == (2,)


def test_an_image_too_large_to_receive_is_refused(served):
    """The real server takes messages of any size, and then finds the shape wrong."""
    _, address, _ = served
    with pytest.raises(grpc.RpcError) as caught:
        predict(address, {"image": np.zeros((1, 4000, 4000, 1), np.uint8)})
    assert caught.value.code().name in ("RESOURCE_EXHAUSTED", "INVALID_ARGUMENT")
    assert predict(address, {"image": IMAGE})["class"].shape == (2,)


def test_metadata_and_status(served):
    _, address, _ = served
    with grpc.insecure_channel(address) as channel:
        asked = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        asked.model_spec.name = "digits"
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        stub.GetModelMetadata(asked, timeout=30).metadata["signature_def"].Unpack(signatures)
        image = signatures.signature_def["classify"].inputs["image"]
        assert image.dtype == tf.uint8.as_datatype_enum
        assert [axis.size for axis in image.tensor_shape.dim] == [-1, 12, 12, 1]
        status = get_model_status_pb2.GetModelStatusRequest()
        status.model_spec.name = "digits"
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        versions = stub.GetModelStatus(status, timeout=30).model_version_status
    assert {each.version for each in versions} == {1, 2}


def test_rest_in_rows_and_in_columns(served):
    (stable, _), _, address = served
    images = bars(3)[0]
    expected = stable.classify(images)
    url = f"http://{address}/v1/models/digits/labels/stable:predict"
    rows = requests.post(
        url, json={"signature_name": "classify", "instances": images.tolist()}, timeout=30
    ).json()["predictions"]
    columns = requests.post(
        url, json={"signature_name": "classify", "inputs": {"image": images.tolist()}}, timeout=30
    ).json()["outputs"]
    assert [row["class"] for row in rows] == columns["class"] == expected["class"].numpy().tolist()
    np.testing.assert_allclose(
        columns["class_probabilities"], expected["class_probabilities"], atol=1e-5
    )
    metadata = requests.get(f"http://{address}/v1/models/digits/metadata", timeout=30).json()
    assert "classify" in metadata["metadata"]["signature_def"]["signature_def"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("digits:predict", b"\x00\xff random", 400),
        ("digits:predict", b'{"signature_name": "classify", "instances": [[1, 2]]}', 400),
        ("digits:predict", b'{"signature_name": "classify"}', 400),
        ("digits:predict", b'{"signature_name": "classify", "instances": ["seven"]}', 400),
        ("digits:predict", b'{"instances": [%s]}' % str([[[0]] * 900] * 900).encode(), 400),
        ("letters:predict", b'{"instances": [1]}', 404),
    ],
)
def test_a_bad_rest_call_gets_its_status(served, path, body, status):
    _, _, address = served
    answer = requests.post(f"http://{address}/v1/models/{path}", data=body, timeout=30)
    assert answer.status_code == status
    assert answer.json()["error"]


@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_the_example_clients_classify_pictures(served, tmp_path, capsys, kind):
    (stable, _), *addresses = served
    image = bars(1)[0]
    path = tmp_path / "digit.png"
    Image.fromarray(image[0, ..., 0]).save(path)
    example, address = {
        "grpc": (GRPC_EXAMPLE, addresses[0]),
        "rest": (REST_EXAMPLE, addresses[1]),
    }[kind]
    settings = [f"--server={address}", "--model=digits", "--side=12", str(path)]
    assert example["main"](settings) == 0
    answer = stable.classify(image)
    number = int(answer["class"][0])
    share = float(answer["class_probabilities"][0, number])
    assert capsys.readouterr().out == f"{path}: {number} ({share:.1%})\n"
    assert example["main"]([*settings, "--model=letters"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_busy_server_is_asked_again_until_the_deadline():
    """The retry policy of the gRPC example, against a server that is unavailable twice."""
    calls = []

    class Busy(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, asked, context):
            calls.append(asked)
            if len(calls) < 3:
                context.abort(grpc.StatusCode.UNAVAILABLE, "busy")
            response = predict_pb2.PredictResponse()
            for key, value in (("class", [4]), ("class_probabilities", [[0.5]])):
                response.outputs[key].CopyFrom(tf.make_tensor_proto(value))
            return response

    server = grpc.server(model_server.futures.ThreadPoolExecutor(1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Busy(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        classes, _ = GRPC_EXAMPLE["classify"](f"127.0.0.1:{port}", "digits", "stable", IMAGE, 20)
    finally:
        server.stop(None)
    assert classes.tolist() == [4]
    assert len(calls) == 3


def test_the_shipped_batching_parameters_are_those_of_the_stand_in():
    text = (ROOT / "saved_models/batching.config").read_text()
    assert f"max_batch_size {{ value: {model_server.LARGEST_BATCH} }}" in text
