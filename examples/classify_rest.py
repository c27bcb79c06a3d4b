"""Classifies images with a model of TF Serving, over REST.

    python examples/classify_rest.py --model=quickstart digit.png

Needs keras_aae and requests. A request that the server is too busy for is sent again.
"""

import sys

import pictures
import requests
from requests import adapters
import urllib3


def classify(server, model, label, images, deadline):
    """The class of each image and its probabilities.

    Args:
        server: Like `localhost:8501`.
        model: The model's name.
        label: `stable` or `canary`.
        images: uint8 [B, H, W, C].
        deadline: In seconds, for each attempt.

    Returns:
        A list with a dict of `class`, `class_probabilities` and the code for each image.

    Raises:
        requests.RequestException: the server answers with an error, or not in time.
    """
    retry = urllib3.Retry(
        4, backoff_factor=0.1, status_forcelist=(429, 503), allowed_methods=["POST"]
    )
    with requests.Session() as session:
        session.mount("http://", adapters.HTTPAdapter(max_retries=retry))
        answer = session.post(
            f"http://{server}/v1/models/{model}/labels/{label}:predict",
            json={"signature_name": "classify", "instances": images.tolist()},
            timeout=deadline,
        )
    if not answer.ok:
        raise requests.HTTPError(f"{answer.status_code}: {answer.text.strip()}")
    return answer.json()["predictions"]


def main(arguments=None):
    """The command line; returns the exit status."""
    given, images = pictures.read(__doc__, "localhost:8501", arguments)
    try:
        rows = classify(given.server, given.model, given.label, images, given.deadline)
    except requests.RequestException as error:
        print(f"{given.server}: {error}", file=sys.stderr)
        return 1
    for path, row in zip(given.images, rows, strict=True):
        print(f"{path}: {row['class']} ({row['class_probabilities'][row['class']]:.1%})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
