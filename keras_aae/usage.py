"""Which settings a mode of the command line uses, and which a variant of the model."""

from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from typing import NoReturn

from keras_aae import errors
from keras_aae import models
from keras_aae.models import defaults

ON_A_RUN = ("evaluate", "export", "convert", "suggest", "judge")  # They go on with a finished run.
MODES = ("train", *ON_A_RUN, "compare", "table", "promote", "versions")
ONLY_IN = {  # The modes that use a setting.
    "runs": ("compare", "table", "judge"),
    "version": ("promote",),
    "precision": ("convert",),
}
_PLACES = {  # The same for where things are, which a command that is repeated says, too.
    "run_dir": ("train", *ON_A_RUN, "compare"),
    "export_dir": ("train", *ON_A_RUN, "promote", "versions"),
}
_OF_TRAINING = {  # Settings that a finished run keeps, and the modes that may change them.
    "export_dir": ("export",),
    "dataset": ("evaluate", "suggest"),
    "data_dir": ("evaluate", "suggest"),
    "parzen_samples": ("evaluate",),
    "strategy": (),
    "steps_per_execution": (),
    "on_nan": (),
}
_OF_MODELS = frozenset().union(*(each.settings for each in models.VARIANTS.values()))


def own_defaults(model: str) -> dict[str, Any]:
    """The defaults that depend on the variant."""
    usual = {"name": model, "style_size": defaults.STYLE_SIZE, "prior": defaults.PRIOR}
    return {**usual, **models.VARIANTS[model].defaults}


def unused(model: str) -> frozenset[str]:
    """The settings that a variant doesn't use."""
    variant = models.VARIANTS[model]
    settings = _OF_MODELS - variant.settings
    if variant.labels != "few":
        settings |= {"labelled_batch_size", "propagation_steps"}
    if "adversarial_weight" not in variant.settings:
        settings |= {"adversarial_momentum"}
    return settings


def check_mode(given: Iterable[str], mode: str) -> None:
    """Raises a UserError where a setting is given that a mode doesn't use."""
    for name in given:
        modes = {**ONLY_IN, **_PLACES}.get(name, (mode,))
        if mode not in modes:
            _refuse(name, mode, modes)


def check_changes(changed: Iterable[str], mode: str) -> None:
    """Raises a UserError where a mode is to change a setting of a finished run that it can't."""
    for name in changed:
        modes = _OF_TRAINING.get(name, (mode,))
        if mode not in modes:
            _refuse(name, mode, ("train", *modes))


def _refuse(name: str, mode: str, modes: Iterable[str]) -> NoReturn:
    raise errors.UserError(
        f"--{name}: --mode={mode} doesn't use it. What does: --mode={', '.join(modes)}"
    )


def check_model(given: Mapping[str, Any], model: str) -> None:
    """Raises a UserError where a setting is given that a variant doesn't use."""
    for name in given.keys() & unused(model):
        users = ", ".join(each for each in models.NAMES if name not in unused(each))
        raise errors.UserError(
            f"--{name}={given[name]}: --model={model} doesn't use it. Those that do: {users}"
        )
