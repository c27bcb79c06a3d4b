"""A stand-in for TF Serving over `tf.saved_model.load`, with its own protos, for loopback tests.

It reads `models.config` like the server does and answers with the same codes: NOT_FOUND for a
model, version or label that isn't served, FAILED_PRECONDITION for an unknown signature,
INVALID_ARGUMENT for inputs that don't fit it or a batch over the limit.
"""

import base64
from concurrent import futures
import contextlib
import http.server
import json
import pathlib
import re
import threading

from google.protobuf import text_format
import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import get_model_metadata_pb2
from tensorflow_serving.apis import get_model_status_pb2
from tensorflow_serving.apis import model_service_pb2_grpc
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc
from tensorflow_serving.config import model_server_config_pb2

LARGEST_BATCH = 128
_HTTP = {"NOT_FOUND": 404, "FAILED_PRECONDITION": 412, "INVALID_ARGUMENT": 400}


class Refusal(Exception):
    """An answer with an error code."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


class Models:
    """The versions that `models.config` in a model base serves."""

    def __init__(self, base):
        self._entries, self._loaded, self._protos = {}, {}, {}
        text = (base / "models.config").read_text()
        served = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
        for entry in served.model_config_list.config:
            self._entries[entry.name] = entry
            for version in entry.model_version_policy.specific.versions:
                path = base / pathlib.PurePosixPath(entry.base_path).name / str(version)
                self._loaded[entry.name, version] = tf.saved_model.load(str(path))
                proto = saved_model_pb2.SavedModel.FromString(
                    (path / "saved_model.pb").read_bytes()
                )
                self._protos[entry.name, version] = proto

    def find(self, spec):
        """The version that a ModelSpec asks for."""
        entry = self._entries.get(spec.name)
        labels = dict(entry.version_labels) if entry else {}
        choice = spec.WhichOneof("version_choice")
        version = {
            "version": spec.version.value,
            "version_label": labels.get(spec.version_label),
            None: max((v for name, v in self._loaded if name == spec.name), default=None),
        }[choice]
        if (spec.name, version) not in self._loaded:
            raise Refusal("NOT_FOUND", f"Servable not found for request: {spec}")
        return version

    def versions(self, name):
        """The versions of a model that are served."""
        return sorted(version for known, version in self._loaded if known == name)

    def signature_def(self, spec):
        """The SignatureDefs of the version that a ModelSpec asks for."""
        return self._protos[spec.name, self.find(spec)].meta_graphs[0].signature_def

    def predict(self, spec, inputs):
        """The outputs of a signature, by name."""
        signatures = self._loaded[spec.name, self.find(spec)].signatures
        name = spec.signature_name or "serving_default"
        if name not in signatures:
            raise Refusal("FAILED_PRECONDITION", f'Serving signature key "{name}" not found.')
        _, expected = signatures[name].structured_input_signature
        if set(inputs) != set(expected):
            raise Refusal(
                "INVALID_ARGUMENT", f"inputs expected {sorted(expected)}, got {sorted(inputs)}"
            )
        for key, value in inputs.items():
            if value.dtype != expected[key].dtype.as_numpy_dtype:
                raise Refusal("INVALID_ARGUMENT", f"{key}: {value.dtype}, not {expected[key]}")
            if not expected[key].shape.is_compatible_with(value.shape):
                raise Refusal("INVALID_ARGUMENT", f"{key}: {value.shape}, not {expected[key]}")
            if len(value) > LARGEST_BATCH:
                raise Refusal(
                    "INVALID_ARGUMENT",
                    f"Task size {len(value)} is larger than maximum input batch size "
                    f"{LARGEST_BATCH}",
                )
        outputs = signatures[name](**{key: tf.constant(x) for key, x in inputs.items()})
        return {key: value.numpy() for key, value in outputs.items()}

    def dtypes(self, spec):
        """The dtype of each input of a signature; none for one that isn't there."""
        signatures = self._loaded[spec.name, self.find(spec)].signatures
        function = signatures.get(spec.signature_name or "serving_default")
        inputs = function.structured_input_signature[1] if function else {}
        return {key: value.dtype.as_numpy_dtype for key, value in inputs.items()}


def _answered(method):
    """Turns a Refusal into the status of a call."""

    def answer(self, request, context):
        try:
            return method(self, request)
        except (Refusal, ValueError, TypeError) as error:
            code = getattr(error, "code", "INVALID_ARGUMENT")
            context.abort(grpc.StatusCode[code], str(error))

    return answer


class _Prediction(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, models):
        self._models = models

    @_answered
    def Predict(self, request):
        inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
        outputs = self._models.predict(request.model_spec, inputs)
        response = predict_pb2.PredictResponse()
        for key, value in outputs.items():
            response.outputs[key].CopyFrom(tf.make_tensor_proto(value))
        return response

    @_answered
    def GetModelMetadata(self, request):
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for key, value in self._models.signature_def(request.model_spec).items():
            signatures.signature_def[key].CopyFrom(value)
        response.metadata["signature_def"].Pack(signatures)
        return response


class _Model(model_service_pb2_grpc.ModelServiceServicer):
    def __init__(self, models):
        self._models = models

    @_answered
    def GetModelStatus(self, request):
        self._models.find(request.model_spec)
        response = get_model_status_pb2.GetModelStatusResponse()
        for version in self._models.versions(request.model_spec.name):
            state = get_model_status_pb2.ModelVersionStatus.AVAILABLE
            response.model_version_status.add(version=version, state=state)
        return response


def _decoded(values):
    """What a name that ends in `_bytes` holds, in base64."""
    return [base64.b64decode(value["b64"]) for value in values]


def _rest_predict(models, spec, body):
    """The answer to a predict call: rows for `instances`, columns for `inputs`."""
    spec.signature_name = body.get("signature_name", "")
    dtypes = models.dtypes(spec)
    rows = "instances" in body
    given = body["instances"] if rows else body["inputs"]
    if rows and given and isinstance(given[0], dict):
        given = {key: [row[key] for row in given] for key in given[0]}
    if not isinstance(given, dict):  # The only input may go without its name.
        given = {next(iter(dtypes), ""): given}
    inputs = {
        key: np.array(_decoded(value) if key.endswith("_bytes") else value, dtypes.get(key))
        for key, value in given.items()
    }
    outputs = {key: value.tolist() for key, value in models.predict(spec, inputs).items()}
    if not rows:
        return {"outputs": outputs if len(outputs) > 1 else next(iter(outputs.values()))}
    if len(outputs) == 1:
        return {"predictions": next(iter(outputs.values()))}
    predictions = [
        dict(zip(outputs, row, strict=True)) for row in zip(*outputs.values(), strict=True)
    ]
    return {"predictions": predictions}


def _handler(models):
    path = re.compile(r"/v1/models/(\w+)(?:/versions/(\d+)|/labels/(\w+))?(:predict|/metadata)?")

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

        def do_POST(self):
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def do_GET(self):
            self._answer(None)

        def _answer(self, body):
            try:
                status, answer = 200, self._call(body)
            except Refusal as error:
                status, answer = _HTTP[error.code], {"error": str(error)}
            except (ValueError, KeyError, TypeError, OverflowError) as error:
                status, answer = 400, {"error": repr(error)}
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _call(self, body):
            found = path.fullmatch(self.path)
            if not found:
                raise Refusal("NOT_FOUND", f"Malformed request: {self.path}")
            name, version, label, verb = found.groups()
            spec = predict_pb2.PredictRequest().model_spec
            spec.name = name
            if version:
                spec.version.value = int(version)
            if label:
                spec.version_label = label
            if verb == ":predict":
                return _rest_predict(models, spec, json.loads(body))
            if verb == "/metadata":
                signatures = models.signature_def(spec)
                return {"metadata": {"signature_def": {"signature_def": sorted(signatures)}}}
            models.find(spec)
            return {
                "model_version_status": [
                    {"version": str(number), "state": "AVAILABLE"}
                    for number in models.versions(name)
                ]
            }

    return Handler


@contextlib.contextmanager
def serving(base):
    """Serves a model base on loopback; gives the addresses of gRPC and REST."""
    models = Models(base)
    server = grpc.server(futures.ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_Prediction(models), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(_Model(models), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(models))
    threading.Thread(target=web.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{port}", f"127.0.0.1:{web.server_address[1]}"
    finally:
        server.stop(None)
        web.shutdown()
        web.server_close()
