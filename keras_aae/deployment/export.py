"""Exports a model as a SavedModel for TF Serving."""

from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
import errno
import json
import os
import pathlib
import secrets
import shutil

import numpy as np
import tensorflow as tf

from keras_aae import errors
from keras_aae import files
from keras_aae.deployment import model_base
from keras_aae.deployment import signatures as signatures_lib
from keras_aae.models import autoencoder
from keras_aae.reporting import report

_CARD = pathlib.Path("assets.extra/model_card.json")


def export(
    model: autoencoder.Autoencoder,
    base_path: str | os.PathLike,
    about: Mapping[str, object] | None = None,
    run: str = "",
) -> pathlib.Path:
    """Writes the next version of a model, unless that was done before.

    The version is written beside its place and renamed, so a server never sees half of one; then
    `models.config` in the folder above says that it is the canary.

    Args:
        model: The model, whose averaged weights are exported with raw examples as inputs; see
            `signatures.of`.
        base_path: The model's folder, which holds a folder for each version.
        about: What to say of the model in its card beside its signatures, as JSON takes it: how it
            was trained, its numbers.
        run: The identity of the model's run. A version of this run and step that is there, as
            after an export that was killed at its end, is registered and returned.

    Returns:
        The folder of the version, `<base_path>/<number>`.

    Raises:
        UserError: a weight is not finite, the version can't be written, or `models.config` is
            damaged.
    """
    base_path = pathlib.Path(base_path)
    model_base.check(base_path.parent, base_path.name)
    _check_finite(model)
    step = int(model.step.numpy())
    card = {"classes": list(model.class_names), **(about or {}), "source": _source(run, step)}
    target = (find(base_path, run, step) if run else None) or _new_version(model, base_path, card)
    model_base.register(base_path.parent, base_path.name)
    return target


def _check_finite(model: autoencoder.Autoencoder) -> None:
    for network in (model.averaged_encoder, model.averaged_decoder):
        for weights in network.get_weights():
            if not np.isfinite(weights).all():
                raise errors.UserError("the model has weights that are not finite; not exported")


def _source(run: str, step: int) -> dict[str, object]:
    """What a card says of where its model comes from."""
    return {"run": run, "step": step}


def find(base_path: pathlib.Path, run: str, step: int) -> pathlib.Path | None:
    """The version that was exported from a run at a step; None where it isn't there.

    Args:
        base_path: The model's folder.
        run: The identity of the run.
        step: How many steps the model was trained.
    """
    for number in model_base.numbers(base_path.parent, base_path.name):
        card = base_path / str(number) / _CARD
        with contextlib.suppress(OSError, ValueError, AttributeError):
            if json.loads(card.read_bytes()).get("source") == _source(run, step):
                return base_path / str(number)
    return None


def _new_version(
    model: autoencoder.Autoencoder, base_path: pathlib.Path, card: Mapping[str, object]
) -> pathlib.Path:
    """Writes the next version beside its place, and renames it once the disk has it."""
    with files.writing(base_path, tf.errors.OpError), _unfinished(base_path) as unfinished:
        inputs_and_outputs = _write(model, unfinished)
        assets = unfinished / "assets.extra"
        _write_card({**card, "signatures": inputs_and_outputs}, assets)
        model_base.write_warm_up(assets, base_path.name, signatures_lib.of(model))
        for path in [*unfinished.rglob("*"), unfinished]:
            files.sync(path)
        return _publish(unfinished, base_path)


@contextlib.contextmanager
def temporary(model: autoencoder.Autoencoder) -> Iterator[pathlib.Path]:
    """The path of a SavedModel for converters, in a temporary folder that is removed at the end.

    Unlike an export it has no signature for image files, and takes no empty batches.

    Raises:
        UserError: it can't be written, or TensorFlow can't read its path.
    """
    with files.temporary_folder() as folder:
        files.check_readable_by_tensorflow(folder, "TMPDIR")
        path = folder / "model"
        with files.writing(path, tf.errors.OpError):
            _write(model, path, converted=True)
        yield path


@contextlib.contextmanager
def _unfinished(base_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A folder of this process's own in a model's folder; what dead processes left there goes.

    Its process holds the lock of the file beside it; the kernel frees that of a dead process.
    """
    files.make_folder(base_path, exist_ok=True)
    with files.locked(base_path / ".export.lock"):
        # A process may have died before it made the lock, and after its folder was renamed.
        for folder in {path.with_suffix("") for path in base_path.glob(f"{files.UNFINISHED}*")}:
            _remove_if_dead(folder)
        folder = base_path / f"{files.UNFINISHED}{secrets.token_hex(8)}"
        folder.mkdir()
        own = files.try_lock(_lock_of(folder))
        assert own  # The name is new.
    with own:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            _lock_of(folder).unlink(missing_ok=True)


def _lock_of(folder: pathlib.Path) -> pathlib.Path:
    return folder.with_name(f"{folder.name}.lock")


def _remove_if_dead(folder: pathlib.Path) -> None:
    """Removes an unfinished folder and its lock, unless a process holds that."""
    held = files.try_lock(_lock_of(folder))
    if held:
        with held:
            shutil.rmtree(folder, ignore_errors=True)
            _lock_of(folder).unlink(missing_ok=True)  # Its process may just have ended.


def _publish(unfinished: pathlib.Path, base_path: pathlib.Path) -> pathlib.Path:
    """Renames a folder to the next version, whatever other processes publish meanwhile."""
    while True:
        number = model_base.next_number(base_path.parent, base_path.name)
        target = base_path / str(number)
        try:
            unfinished.rename(target)
            files.sync(base_path)
            return target
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise


def _write(
    model: autoencoder.Autoencoder, path: pathlib.Path, converted: bool = False
) -> dict[str, dict]:
    """Writes the SavedModel; returns the inputs and outputs of each signature, for the card."""
    signatures = signatures_lib.of(model, converted=converted)
    functions = {
        name: tf.function(
            signature.function, input_signature=signature.inputs, autograph=False
        ).get_concrete_function()
        for name, signature in signatures.items()
    }
    saved = tf.Module()
    saved.tracked = [variable.value for variable in model.inference_variables]
    default = {"serving_default": functions[signatures_lib.default(model)]}
    tf.saved_model.save(saved, str(path), {**functions, **default})
    return {
        name: {
            "inputs": {spec.name: _text(spec) for spec in signatures[name].inputs},
            "outputs": {
                output: _text(spec) for output, spec in function.structured_outputs.items()
            },
        }
        for name, function in functions.items()
    }


def _text(spec: tf.TensorSpec) -> str:
    """The dtype and shape of a tensor, like `uint8 [?, 28, 28, 1]`; a free axis is a `?`."""
    sizes = ", ".join("?" if size is None else str(size) for size in spec.shape)
    return f"{spec.dtype.name} [{sizes}]"


def _write_card(card: Mapping[str, object], folder: pathlib.Path) -> None:
    """Writes `model_card.json`, and `README.md` for people."""
    folder.mkdir(exist_ok=True)
    text = json.dumps(card, indent=2)
    (folder / _CARD.name).write_text(text, encoding="utf-8")
    page = report.template("model_card.md.jinja").render(card=card)
    (folder / "README.md").write_text(page, encoding="utf-8")
