"""Classifies images with a model of TF Serving, over gRPC.

    python examples/classify_grpc.py --model=quickstart digit.png

Needs keras_aae and tensorflow-serving-api. A request that the server is too busy for is sent again,
until the deadline.
"""

import json
import sys

import grpc
import pictures
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc

RETRY = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
            },
        }
    ]
}


def classify(server, model, label, images, deadline):
    """The class of each image and its probabilities.

    Args:
        server: Like `localhost:8500`.
        model: The model's name.
        label: `stable` or `canary`.
        images: uint8 [B, H, W, C].
        deadline: In seconds, over all attempts.

    Returns:
        Arrays int [B] and float [B, classes].

    Raises:
        grpc.RpcError: the server answers with an error, or not in time.
    """
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.version_label = label
    request.model_spec.signature_name = "classify"
    request.inputs["image"].CopyFrom(tf.make_tensor_proto(images))
    options = [("grpc.service_config", json.dumps(RETRY))]
    with grpc.insecure_channel(server, options=options) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        outputs = stub.Predict(request, timeout=deadline).outputs
    return tf.make_ndarray(outputs["class"]), tf.make_ndarray(outputs["class_probabilities"])


def main(arguments=None):
    """The command line; returns the exit status."""
    given, images = pictures.read(__doc__, "localhost:8500", arguments)
    try:
        classes, probabilities = classify(
            given.server, given.model, given.label, images, given.deadline
        )
    except grpc.RpcError as error:
        details = " ".join(error.details().split())
        print(f"{given.server}: {error.code().name}: {details}", file=sys.stderr)
        return 1
    for path, number, row in zip(given.images, classes, probabilities, strict=True):
        print(f"{path}: {number} ({row[number]:.1%})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
