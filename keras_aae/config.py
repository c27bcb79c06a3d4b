"""Every setting of a run: its name, type, default, help text and check, once.

`launch.py` derives the command-line flags from `Config`, and a run directory keeps it as a
flagfile. This module imports no TensorFlow, so a mistake in a flag is answered at once.
"""

import dataclasses
import math
import pathlib
import re

from keras_aae import errors
from keras_aae import models

ON_A_RUN = ("evaluate", "export", "convert")  # Modes that go on with a finished run.
MODES = ("train", *ON_A_RUN, "compare", "promote", "versions")
PRECISIONS = ("float32", "float16", "dynamic", "int8")
# What may differ between the run that is kept in a directory and the command that goes on with it:
# where things are and what to do, never what is trained.
_FREE = (
    *("mode", "runs", "run_dir", "export_dir", "data_dir", "strategy", "parzen_samples"),
    *("precision", "version"),
)


def _setting(default, help, *, choices=None, low=None, high=None, pattern=None):
    """A field with its help text and its check.

    Args:
        default: The value when the flag is not given; its type is the flag's type.
        help: What the setting means, for `--help`.
        choices: The values allowed, or None.
        low: The smallest number allowed, or None.
        high: The largest number allowed, or None.
        pattern: A regular expression the whole string must match, or None.
    """
    metadata = {"help": help, "choices": choices, "low": low, "high": high, "pattern": pattern}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Config:
    """The settings of one run.

    Raises:
        UserError: a value has the wrong type, is out of range or does not go with another.
    """

    mode: str = _setting(
        "train",
        "train: train, evaluate, draw the figures, export and report, going on from the last "
        "checkpoint where there is one. evaluate, export: that part again, for the run in "
        "--run_dir. convert: make .tflite files of its export, for the edge. compare: draw the "
        "finished runs in --runs side by side on one page. promote: have TF Serving give --version "
        "of --name in --export_dir the label stable. versions: list what is there.",
        choices=MODES,
    )
    runs: str = _setting("", "The directories of the runs to compare, with commas between them.")
    model: str = _setting("semisup", "The variant of the method.", choices=models.NAMES)
    name: str = _setting(
        "semisup",
        "The name of the experiment: of its run directory and of its SavedModel.",
        pattern=r"[A-Za-z0-9][A-Za-z0-9_.-]*",
    )
    seed: int = _setting(
        0, "Draws the split, the labelled subset, the weights and all noise.", low=0, high=2**31 - 1
    )
    run_dir: str = _setting("", "Where the run writes everything. Default: runs/<name>-<time>.")
    export_dir: str = _setting(
        "saved_models", "The model base: exports go to <export_dir>/<name>/<version>."
    )

    dataset: str = _setting(
        "mnist_5k",
        "mnist_5k (5,000 MNIST images, needs no download), the name of a TFDS image data set, a "
        ".npz file with x_train, y_train, x_test, y_test, or a folder with "
        "train/<class>/*.png|jpg and test/<class>/*.",
        pattern=r".+",
    )
    data_dir: str = _setting("", "Where TFDS data sets are prepared. Default: TFDS's own place.")
    labels: int = _setting(
        100, "How many labels the model gets, class-balanced. 0: none; -1: all.", low=-1
    )
    validation: float = _setting(
        0.1, "The share of the training examples held out to monitor the run.", low=0.001, high=0.9
    )
    augment_shift: int = _setting(
        2, "Shift each training image at random by up to so many pixels.", low=0, high=64
    )

    network: str = _setting(
        "conv", "The networks: mlp (the paper's) or conv.", choices=("mlp", "conv")
    )
    style_size: int = _setting(10, "Dimensions of the style code z.", low=1, high=4096)
    num_clusters: int = _setting(
        16, "How many clusters a model makes that learns without labels.", low=2, high=4096
    )
    head_distance: float = _setting(
        6.0,
        "Dimensionality reduction: heads of classes or clusters closer than this are pushed apart; "
        "the style about a head has standard deviation 1.",
        low=0,
    )
    prior: str = _setting(
        "gaussian",
        "The prior of the style code; gaussian_mixture and swiss_roll are 2-D.",
        choices=("gaussian", "gaussian_mixture", "swiss_roll", "uniform"),
    )
    posterior: str = _setting(
        "deterministic",
        "How the style comes from an example, q(z|x): deterministic; gaussian (always in a VAE); "
        "or universal, where the encoder also receives noise.",
        choices=("deterministic", "gaussian", "universal"),
    )
    input_noise: float = _setting(
        0.0,
        "Standard deviation of the noise on the encoder's input in training, where pixels are in "
        "[0, 1]; the paper's is 0.3.",
        low=0,
    )
    discriminator_noise: float = _setting(
        0.2, "Standard deviation of the noise on the discriminators' inputs in training.", low=0
    )
    average: float = _setting(
        0.995,
        "Decay of the moving average of the weights that evaluation and export use. 0: the "
        "weights themselves.",
        low=0,
        high=0.99999,
    )

    style_adversary: str = _setting(
        "conditional",
        "Which styles have to look like samples of the prior, where there are classes or clusters: "
        "conditional, those of each, so that the style can't tell it; marginal, all together (the "
        "paper's).",
        choices=("conditional", "marginal"),
    )

    update: str = _setting(
        "joint",
        "sequential: the paper's order, a pass and an optimizer for each phase. joint: one "
        "encoder pass for all.",
        choices=("joint", "sequential"),
    )
    updates: int = _setting(6000, "How many minibatches to train on.", low=1)
    evaluate_every: int = _setting(
        200,
        "Validate, log and write a checkpoint after each so many updates; divides --updates.",
        low=1,
    )
    batch_size: int = _setting(100, "Unlabelled images in a minibatch.", low=1)
    labelled_batch_size: int = _setting(
        50, "Labelled images in a minibatch, for models that use labels.", low=1
    )
    optimizer: str = _setting("adam", "The optimizer of every phase.", choices=("adam", "sgd"))
    learning_rate: float = _setting(0.001, "The learning rate at the start.", low=1e-9, high=100)
    momentum: float = _setting(0.5, "Adam's beta_1, or the momentum of SGD.", low=0, high=0.9999)
    adversarial_momentum: float = _setting(
        0.5,
        "The same for the adversarial phases; in joint updates for the discriminators.",
        low=0,
        high=0.9999,
    )
    schedule: str = _setting(
        "cosine",
        "The learning rate over the run: constant; cosine, down to zero; or steps, the paper's, a "
        "tenth after 30,000 and again after 600,000 updates (epochs 50 and 1000 of MNIST).",
        choices=("constant", "cosine", "steps"),
    )
    pixel_loss: str = _setting(
        "cross_entropy",
        "What the reconstruction loss of images is: cross_entropy or squared_error.",
        choices=("cross_entropy", "squared_error"),
    )
    reconstruction_weight: float = _setting(
        3.0,
        "Weight of the reconstruction loss, a mean over pixels (784 makes it the paper's sum on "
        "MNIST).",
        low=0,
    )
    adversarial_weight: float = _setting(
        1.0,
        "Weight of the adversarial losses. With SGD a weight acts as a factor on the learning rate "
        "of a phase.",
        low=0,
    )
    classification_weight: float = _setting(1.0, "Weight of the classification loss.", low=0)
    agreement_weight: float = _setting(
        1.0,
        "Weight of the agreement of two random views of an image on its class or cluster. 0: the "
        "paper's losses alone.",
        low=0,
    )

    parzen_samples: int = _setting(
        0,
        "Estimate the log-likelihood of the test images by a Parzen window on so many samples of "
        "the model (the paper: 10000). 0: don't.",
        low=0,
    )

    version: int = _setting(
        0, "The version that --mode=promote makes stable. 0: the newest, the canary.", low=0
    )
    precision: str = _setting(
        ",".join(PRECISIONS),
        "What --mode=convert makes, with commas between them: float32, float16, dynamic (weights "
        "of 8 bits), int8 (all of 8 bits, calibrated on training examples).",
        pattern=rf"({'|'.join(PRECISIONS)})(,({'|'.join(PRECISIONS)}))*",
    )

    strategy: str = _setting(
        "auto",
        "single: one device. mirrored: a replica on every GPU. auto: mirrored with two GPUs or "
        "more.",
        choices=("auto", "single", "mirrored"),
    )

    def __post_init__(self):
        for field in dataclasses.fields(self):
            _check(field, getattr(self, field.name))
        if self.updates % self.evaluate_every:
            raise errors.UserError(
                f"--updates: expected a multiple of --evaluate_every={self.evaluate_every}. "
                f"Received: {self.updates}"
            )
        if self.mode == "compare" and not self.runs:
            raise errors.UserError("--mode=compare: expected --runs=<directory>,<directory>")
        if self.mode in ON_A_RUN and not self.run_dir:
            raise errors.UserError(
                f"--mode={self.mode}: expected --run_dir=<the directory of a finished run>"
            )
        if self.labels == 0 and self.model in models.NEED_LABELS:
            raise errors.UserError(
                f"--labels=0: --model={self.model} learns from labels; give it some"
            )

    def smoke(self) -> "Config":
        """A try of these settings that takes well under a minute: little data, few updates."""
        return dataclasses.replace(
            self,
            dataset="mnist_5k",
            data_dir="",
            labels=min(self.labels, 1000),
            updates=20,
            evaluate_every=10,
            parzen_samples=min(self.parzen_samples, 100),
        )

    def to_flagfile(self) -> str:
        """The text of a flagfile that repeats this run exactly."""
        return "".join(f"{flag}\n" for flag in self._flags())

    @classmethod
    def from_flagfile(cls, path: pathlib.Path) -> "Config":
        """Reads what `to_flagfile` wrote.

        Raises:
            UserError: the file is not readable, or has a setting that this version doesn't know.
        """
        types = {field.name: field.type for field in dataclasses.fields(cls)}
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
            pairs = [
                line.removeprefix("--").split("=", 1) for line in lines if line.startswith("--")
            ]
            return cls(**{name: types[name](value) for name, value in pairs})
        except (OSError, ValueError, KeyError) as error:
            raise errors.UserError(
                f"{path}: not the settings of a run of this version ({error!r})"
            ) from error

    def command(self) -> str:
        """The command that repeats this run: the settings that are not the default, as flags."""
        return " ".join(["python -m keras_aae.launch", *self._flags(all_of_them=False)])

    def _flags(self, all_of_them=True):
        return [
            f"--{field.name}={getattr(self, field.name)}"
            for field in dataclasses.fields(self)
            if field.name not in ("mode", "runs", "run_dir")
            and (all_of_them or getattr(self, field.name) != field.default)
        ]

    def differences(self, other: "Config") -> list[str]:
        """The settings that make another result, each as `--name=mine (there: theirs)`."""
        return [
            f"--{name}={value} (there: {getattr(other, name)})"
            for name, value in vars(self).items()
            if name not in _FREE and value != getattr(other, name)
        ]


def default_run_dir(name: str, now) -> pathlib.Path:
    """`runs/<name>-<time>` for a `datetime.datetime`."""
    return pathlib.Path("runs") / f"{name}-{now:%Y%m%d-%H%M%S}"


def _check(field, value):
    """Raises a UserError where `value` is not allowed for the dataclass field."""
    expected = _expected(field, value)
    if expected:
        raise errors.UserError(f"--{field.name}: expected {expected}. Received: {value!r}")


def _expected(field, value):
    """What was expected, in words, where `value` breaks the field's rule; else an empty string."""
    rule = field.metadata
    number = field.type in (int, float)
    if not isinstance(value, (int, float) if field.type is float else field.type) or isinstance(
        value, bool
    ):
        return f"a value of type {field.type.__name__}"
    if rule["choices"] and value not in rule["choices"]:
        return "one of " + ", ".join(rule["choices"])
    if rule["pattern"] and not re.fullmatch(rule["pattern"], value):
        return f"text like {rule['pattern']}"
    if not number:
        return "text on one line" if "\n" in value else ""
    if not math.isfinite(value):
        return "a finite number"
    if rule["low"] is not None and value < rule["low"]:
        return f"at least {rule['low']}"
    if rule["high"] is not None and value > rule["high"]:
        return f"at most {rule['high']}"
    return ""
