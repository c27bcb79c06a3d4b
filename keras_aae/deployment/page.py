"""The page to explore a model in a browser: a folder of files that any web server serves.

The model runs in the browser itself, by LiteRT's runtime for it, which the page brings along.
"""

import base64
from collections.abc import Mapping
import hashlib
import io
import json
import math
import os
import pathlib
import shutil
import subprocess
import tempfile
from typing import Any

import numpy as np
from PIL import Image

from keras_aae import data
from keras_aae import errors
from keras_aae import evaluation
from keras_aae import files
from keras_aae.deployment import conversion
from keras_aae.deployment import export
from keras_aae.deployment import signatures
from keras_aae.models import autoencoder
from keras_aae.reporting import figures
from keras_aae.reporting import report

_WEB = pathlib.Path(__file__).parent / "web"
_TEMPLATES = {"index.html": "explorer.html.jinja", "explorer.css": "explorer.css.jinja"}
_EXAMPLES = 24
_POINTS = 1500  # Held-out codes on the map.
_TRAINING, _TRAINING_BYTES = 500, 4_000_000  # Of the training examples that are looked among.
_SAMPLES = 5000  # Of the prior, for its extent and its contours.
# Of the runtime's builds only those that take neither threads nor experimental browsers.
_BUILDS = ("litert_wasm_internal", "litert_wasm_compat_internal")
# Where scripts find what they import by name: the only script within the page, allowed by its hash.
_IMPORTS = json.dumps(
    {
        "imports": {
            "@litertjs/core": "./litert/core.js",
            "@litertjs/wasm-utils": "./litert/wasm-utils.js",
        }
    }
)


def runtime(cache: pathlib.Path | None = None) -> pathlib.Path:
    """The folder of LiteRT's npm packages, which npm installs the first time.

    Args:
        cache: Where it is kept. Default: `keras_aae` in the user's folder of caches.

    Raises:
        UserError: there is no npm, or it can't install them.
    """
    cache = cache or _cache()
    wanted = json.loads((_WEB / "package.json").read_text())["dependencies"]
    version = wanted["@litertjs/core"]
    place = cache / f"litertjs-{version}"
    if not place.exists():
        with files.writing(place):
            cache.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=cache) as unfinished:
                for name in ("package.json", "package-lock.json"):
                    shutil.copy(_WEB / name, unfinished)
                _npm_ci(unfinished)
                _keep(pathlib.Path(unfinished) / "node_modules", place)
    return place / "@litertjs"


def _cache() -> pathlib.Path:
    """`keras_aae` in the user's folder of caches."""
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:
        return pathlib.Path(caches).expanduser() / "keras_aae"
    except RuntimeError as error:  # An account without a home, as in some containers.
        raise errors.UserError(f"no folder of caches: set XDG_CACHE_HOME ({error})") from error


def _keep(made: pathlib.Path, place: pathlib.Path) -> None:
    """Renames a folder into its place, unless another process was faster."""
    try:
        made.rename(place)
    except OSError:
        if not place.exists():
            raise


def _npm_ci(folder: str) -> None:
    """Installs what the lock file in a folder names; content of another hash is refused."""
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise errors.UserError(
            "npm: not found. It brings the model's runtime for the browser, once; it comes with "
            "Node.js, https://nodejs.org"
        ) from error
    if done.returncode:
        reason = " ".join((done.stderr or done.stdout).split())[:200]
        raise errors.UserError(f"npm ci: failed, no network? ({reason})")


def build(
    model: autoencoder.Autoencoder,
    dataset: data.Dataset,
    results: Mapping,
    packages: pathlib.Path,
    folder: pathlib.Path,
) -> None:
    """Writes the page to a folder; `index.html` is the one to open.

    Args:
        model: The trained model, of images.
        dataset: Its data; the page shows validation examples, and of some training examples those
            that are near.
        results: Its numbers; see docs/RESULTS.md.
        packages: What `runtime` gives.
        folder: Where to write; files of an earlier page are overwritten.

    Raises:
        UserError: the model isn't one of grey or RGB images, or the folder can't be written.
    """
    if len(model.example_shape) != 3 or model.example_shape[-1] not in (1, 3):
        raise errors.UserError(
            "--run_dir: expected a model of images, grey or RGB. "
            f"Received: examples of {model.example_shape}"
        )
    count = min(_TRAINING, max(1, _TRAINING_BYTES // math.prod(model.example_shape)))
    training = dataset.train.spread(count)
    about = _describe(model, dataset, training)
    pictures = {"examples": dataset.validation.spread(_EXAMPLES), "training": training}
    with files.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with export.temporary(model) as saved_model:
            for name, use in (("encode", signatures.default(model)), ("decode", "decode")):
                content = conversion.for_browser(saved_model, use)
                (folder / f"{name}.tflite").write_bytes(content)
        for name, split in pictures.items():
            (folder / f"{name}.png").write_bytes(_png(np.concatenate(split.array())))
        (folder / "model.json").write_text(json.dumps(about), encoding="utf-8")
        shutil.copy(_WEB / "explorer.js", folder)
        for name, template in _TEMPLATES.items():
            text = report.template(template).render(
                results=results, about=about, imports=_IMPORTS, imports_hash=_hash(_IMPORTS)
            )
            (folder / name).write_text(text, encoding="utf-8")
        _copy_runtime(packages, folder / "litert")


def _hash(script: str) -> str:
    """What allows a script in a Content-Security-Policy."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def _copy_runtime(packages: pathlib.Path, folder: pathlib.Path) -> None:
    wasm = folder / "wasm"
    wasm.mkdir(parents=True, exist_ok=True)
    shutil.copy(packages / "core/dist/index.js", folder / "core.js")
    shutil.copy(packages / "wasm-utils/dist/index.js", folder / "wasm-utils.js")
    for name in _BUILDS:
        for suffix in ("js", "wasm"):
            shutil.copy(packages / f"core/wasm/{name}.{suffix}", wasm)


def _png(image: np.ndarray) -> bytes:
    """uint8 [H, W, C] as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, "PNG")
    return buffer.getvalue()


def _describe(
    model: autoencoder.Autoencoder, dataset: data.Dataset, training: data.Split
) -> dict[str, Any]:
    """What the page has to know, as JSON takes it."""
    evaluator = evaluation.Evaluator(model)
    held_out = dataset.validation.spread(_POINTS)
    samples = model.priors["style"].sample(_SAMPLES, seed=(0, 0)).numpy()
    choice = _choice(evaluator, dataset)
    return {
        "shape": model.example_shape,
        "input": model.observation.name,
        "parts": model.parts,
        "encoder_parts": model.encoder_parts,
        "prediction": f"{model.prediction}_probabilities" if model.prediction else None,
        "temperature": float(model.temperature.numpy()),
        "predicted_names": choice["names"] if choice else list(dataset.classes),
        "choice": choice,
        "style_limit": float(np.abs(samples).max()),
        "classes": list(dataset.classes),
        "examples": min(_EXAMPLES, len(dataset.validation.x)),
        "training": {
            "codes": _codes(model, evaluator.predict(training)).round(3).tolist(),
            "labels": training.y.tolist(),
        },
        "map": _map(model, evaluator.predict(held_out), held_out.y, samples),
    }


def _codes(model: autoencoder.Autoencoder, predictions: Mapping[str, np.ndarray]) -> np.ndarray:
    """The codes of examples, [N, sum of the sizes of the parts that are encoded]."""
    return np.concatenate([predictions[part] for part in model.encoder_parts], axis=1)


def _choice(evaluator: evaluation.Evaluator, dataset: data.Dataset) -> dict[str, Any] | None:
    """The classes or clusters to choose from; None without a discrete latent variable."""
    latent = evaluator.model.categorical
    if not latent:
        return None
    clusters = latent.name == "cluster"
    names = evaluator.cluster_titles(dataset) if clusters else list(dataset.classes)
    return {"name": latent.name, "part": latent.part, "names": names}


def _map(
    model: Any, predictions: Mapping[str, np.ndarray], labels: np.ndarray, samples: np.ndarray
) -> dict[str, Any] | None:
    """The plane of 2-D codes, or of 2-D representations; None of other models."""
    if model.parts["style"] != 2:
        return None
    heads = model.cluster_heads.numpy() if "representation" in predictions else None
    points = predictions["style" if heads is None else "representation"]
    prior, extent = model.priors["style"], 1.1 * np.abs(samples).max()
    contours = figures.contours(samples, lambda z: prior.log_prob(z).numpy(), extent)
    centres = np.zeros((1, 2)) if heads is None else heads
    outlines = [line + centre for centre in centres for line in contours]
    limit = 1.05 * np.abs(np.concatenate([points, *outlines])).max()
    return {
        "limit": float(limit),
        "points": points.round(3).tolist(),
        "labels": labels.tolist(),
        "outlines": [line.round(3).tolist() for line in outlines],
        "heads": None if heads is None else heads.tolist(),
    }
