"""Every setting of a run: its name, type, default, help text and check, once.

`launch.py` derives the command-line flags from `Config`, and a run directory keeps it as a
flagfile. This module imports no TensorFlow, so a mistake in a flag is answered at once.
"""

from collections.abc import Mapping
import dataclasses
import functools
import os
import shlex
from typing import Any

from keras_aae import errors
from keras_aae import fields
from keras_aae import models
from keras_aae import usage
from keras_aae.models import defaults

PRECISIONS = ("float32", "float16", "dynamic", "int8")
LABELS_PER_CLASS = 10  # Where a model learns from few labels and --labels doesn't say how many.

# What may differ between the run that is kept in a directory and the command that goes on with it:
# where things are and what to do, never what is trained: data is known by its content.
_FREE = (
    *("mode", "runs", "run_dir", "seeds", "sweep", "export_dir", "dataset", "data_dir"),
    *("parzen_samples", "precision", "version", "steps_per_execution", "max_memory", "on_nan"),
    "strategy",
)

_OF_VIEWS = ("agreement_weight", "pseudo_label_weight")  # Of no use without views.
_PATHS = ("run_dir", "export_dir", "data_dir", "dataset", "runs")  # The last may be several.

_run = functools.partial(fields.setting, group="Run")
_data = functools.partial(fields.setting, group="Data")
_model = functools.partial(fields.setting, group="Model")
_loss = functools.partial(fields.setting, group="Losses")
_training = functools.partial(fields.setting, group="Training")
_results = functools.partial(fields.setting, group="Results and serving")


@dataclasses.dataclass(frozen=True)
class Config:
    """The settings of one run.

    A setting that the model doesn't use keeps its default.

    Raises:
        UserError: a value has the wrong type, is out of range, does not go with another or is not
            used by the model.
    """

    mode: str = _run(
        "train",
        "What to do: train, or something with what was trained. train: train, evaluate, draw the "
        "figures, export and report, going on from the last checkpoint where there is one. "
        "evaluate, export: that part again, for the run in --run_dir. convert: make .tflite files "
        "of its model, for the edge. suggest: list the unlabelled training examples whose label "
        "would help most. judge: score what it generates by the classifier of the run in --runs. "
        "compare: draw the finished runs in --runs side by side on one page. table: print the "
        "numbers of the runs in --runs, or of studies with --seeds, as Markdown. promote: have TF "
        "Serving give --version of --name in --export_dir the label stable. versions: list the "
        "exported versions.",
        brief=True,
        choices=usage.MODES,
    )
    name: str = _run(
        None,
        "The name of the experiment: of its run directory and of its SavedModel. Default: that of "
        "the model.",
        brief=True,
        pattern=r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}",
    )
    run_dir: str = _run(
        "", "Where the run writes everything. Default: runs/<name>-<time>.", brief=True
    )
    runs: str = _run(
        "",
        "The directories of the runs to compare or tabulate, with commas between them; or that of "
        "the run that judges.",
    )
    seed: int = _run(
        0,
        "Draws the splits, the labelled subset, the initial weights and all noise.",
        brief=True,
        low=0,
        high=2**31 - 1,
    )
    seeds: str = _run(
        "",
        "Train once with each of these seeds, like 0,1,2,3,4, each in a directory of its own in "
        "--run_dir, and summarise: mean, deviation and curves. What is finished is not trained "
        "again.",
        brief=True,
        pattern=r"(\d{1,9}(,\d{1,9})*)?",
    )
    sweep: str = _run(
        "",
        "Train once with each of these values of a setting, like learning_rate=0.001,0.0003, as "
        "--seeds does and together with it; the validation error says which is best.",
        pattern=r"([a-z_]+=[^=]+)?",
    )
    strategy: str = _run(
        "auto",
        "Which devices train. single: one. mirrored: a replica on every GPU. multiworker: those of "
        "all processes that TF_CONFIG names or Slurm started, each with this very command; see "
        "docs/SCALE.md. auto: multiworker where TF_CONFIG names several, else mirrored with two "
        "GPUs or more.",
        choices=("auto", "single", "mirrored", "multiworker"),
    )

    dataset: str = _data(
        "mnist_5k",
        "What to train on: mnist_5k (5,000 MNIST images, needs no download), the name of a TFDS "
        "image data set, a .npz file with x_train and perhaps y_train, x_test and y_test, or a "
        "folder of images, train/<class>/* and perhaps test/<class>/*.",
        brief=True,
        pattern=r".+",
    )
    data_dir: str = _data(
        "", "Where TFDS data sets are prepared. Default: TFDS's own place.", brief=True
    )
    max_memory: float = _data(
        None,
        "How many GB of memory a data set may take. Images of a folder, of TFDS, or of a .npz file "
        "that is not compressed, stay on the disk where they take more, and are read as they are "
        "needed; anything else is refused. Float arrays take three times their size. Default: half "
        "of what the machine or its control group grants.",
        low=0.001,
    )
    image_size: int = _data(
        None,
        "Scale the images of a folder or of TFDS to so many pixels in height and width. Default: "
        "the most common size among them.",
        low=4,
        high=1024,
    )
    on_bad_image: str = _data(
        "fail",
        "What to do about an image of a folder or of TFDS that can't be read. fail: end with its "
        "name. skip: leave it out; each image is read once more, before training.",
        choices=("fail", "skip"),
    )
    labels: int = _data(
        None,
        "How many training labels the model gets, as many of each class (0: none, -1: all): a "
        "multiple of the number of classes. Default: "
        f"{LABELS_PER_CLASS} of each class, or as many as the smallest has, for models that learn "
        "from few, all for supervised, "
        "none for the others.",
        brief=True,
        low=-1,
    )
    validation: float = _data(
        0.1,
        "The share of the training examples that is held out, first, to monitor the run, choose "
        "the temperature of the probabilities and the Parzen bandwidth, name clusters and fit the "
        "style probe.",
        low=0.001,
        high=0.9,
    )
    augment_shift: int = _data(
        0,
        "Shift each training image at random by at most this many pixels; edges are repeated.",
        low=0,
        high=64,
    )

    model: str = _model("semisup", "The variant of the method.", brief=True, choices=models.NAMES)
    network: str = _model(
        defaults.NETWORK,
        "The networks: convolutions for images, dense layers for feature vectors (auto), or which. "
        "conv: convolutions of stride 2. resnet: conv with residual blocks in the encoder. "
        "wide_resnet: resnet with a convolution at the image's full size first. mlp: the paper's, "
        "two layers of 1000 units.",
        brief=True,
        choices=defaults.NETWORKS,
    )
    style_size: int = _model(
        None,
        f"Dimensions of the style code z (default {defaults.STYLE_SIZE}; 2 for label_informed).",
        brief=True,
        low=1,
        high=4096,
    )
    prior: str = _model(
        None,
        "The prior p(z) of the style code; gaussian_mixture and swiss_roll are 2-D. Default: "
        f"{defaults.PRIOR}; gaussian_mixture for label_informed.",
        brief=True,
        choices=defaults.PRIORS,
    )
    posterior: str = _model(
        defaults.POSTERIOR,
        "How the style comes from an example, q(z|x). In universal the encoder also receives "
        "noise; a VAE is always gaussian.",
        choices=defaults.POSTERIORS,
    )
    num_clusters: int = _model(
        defaults.NUM_CLUSTERS,
        "Number of clusters, of models that learn without labels.",
        brief=True,
        low=2,
        high=4096,
    )
    head_distance: float = _model(
        defaults.HEAD_DISTANCE,
        "Dimensionality reduction: the distance below which a pair of heads is penalised. The "
        "style about a head has standard deviation 1.",
        low=0,
    )
    style_adversary: str = _model(
        defaults.STYLE_ADVERSARY,
        "Whether the style discriminator matches p(z) per class or cluster (conditional) or in "
        "aggregate (marginal, the paper's).",
        choices=defaults.STYLE_ADVERSARIES,
    )
    class_prior: str = _model(
        defaults.CLASS_PRIOR,
        "The prior of classes: equal shares (uniform, the paper's), or those that the encoder "
        "finds while it learns (learned), for data with more of one class than of another.",
        choices=defaults.CLASS_PRIORS,
    )
    average: float = _model(
        defaults.AVERAGE,
        "Decay of the moving average of the weights that evaluation and export use. 0: the "
        "weights themselves.",
        low=0,
        high=0.99999,
    )

    pixel_loss: str = _loss(
        defaults.PIXEL_LOSS, "The reconstruction loss of images.", choices=defaults.PIXEL_LOSSES
    )
    reconstruction_weight: float = _loss(
        defaults.RECONSTRUCTION_WEIGHT,
        "Weight of the reconstruction loss, a mean over pixels. 784 makes it the paper's sum on "
        "MNIST.",
        low=0,
    )
    adversarial_weight: float = _loss(
        defaults.ADVERSARIAL_WEIGHT,
        "Weight of the adversarial losses. With SGD a weight acts as a factor on the learning rate "
        "of a phase.",
        low=0,
    )
    sliced_weight: float = _loss(
        defaults.SLICED_WEIGHT,
        "Weight of the sliced Wasserstein distance of style codes to their prior, which steadies "
        "the adversary. 0: the adversary alone, as in the paper.",
        low=0,
    )
    classification_weight: float = _loss(
        defaults.CLASSIFICATION_WEIGHT, "Weight of the classification loss.", low=0
    )
    agreement_weight: float = _loss(
        defaults.AGREEMENT_WEIGHT,
        "Weight of the mutual information between the classes or clusters predicted for an image "
        "and for its view, which the paper doesn't have. 0: there is no agreement.",
        low=0,
    )
    pseudo_label_weight: float = _loss(
        defaults.PSEUDO_LABEL_WEIGHT,
        "Weight of FixMatch's pseudo-labels, which the paper doesn't have: the classification loss "
        "of a view with the class to which the averaged encoder gives more than 95 % on the image "
        "itself. 0: there are none.",
        low=0,
    )
    consistency_weight: float = _loss(
        defaults.CONSISTENCY_WEIGHT,
        "Weight of a loss that trains the decoder so that the averaged encoder reads the class, or "
        "cluster, that an image is generated for, which the paper doesn't have. 0: there is none.",
        low=0,
    )
    views: str = _loss(
        "auto",
        "The random changes that make a view of an image. digits: rotation, shear, scaling and "
        "shift; of colour images also changes of colour and a square cut out. photos: horizontal "
        "flips, smaller rotation and shear, scaling, shift, changes of colour, a larger square cut "
        "out. none: there are no views and no agreement. auto: photos for colour images, digits "
        "for grey ones.",
        choices=defaults.VIEWS,
    )
    input_noise: float = _loss(
        defaults.INPUT_NOISE,
        "Standard deviation of the noise on the encoder's input in training, where pixels are in "
        "[0, 1]. The paper's is 0.3.",
        low=0,
    )
    discriminator_noise: float = _loss(
        defaults.DISCRIMINATOR_NOISE,
        "Standard deviation of the noise on the discriminators' inputs in training.",
        low=0,
    )

    steps: int = _training(6000, "How many minibatches to train on.", brief=True, low=1)
    evaluate_every: int = _training(
        200,
        "Validate, log and write a checkpoint every this many steps; must divide --steps.",
        brief=True,
        low=1,
    )
    batch_size: int = _training(
        100,
        "Examples in a minibatch; their labels are used by --model=supervised alone. Models that "
        "learn from few labels get --labelled_batch_size more.",
        brief=True,
        low=1,
    )
    labelled_batch_size: int = _training(
        50, "Labelled images in a minibatch, for models that learn from few labels.", low=1
    )
    propagation_steps: int = _training(
        0,
        "For how many steps, from the first on, labels that spread from those given over a graph "
        "of nearest neighbours are drawn with them: the surest 70 %, where a check on the labels "
        "given finds the surest right, as of digits; else none. Must be a multiple of "
        "--evaluate_every.",
        low=0,
    )
    optimizer: str = _training("adam", "The optimizer of every phase.", choices=("adam", "sgd"))
    learning_rate: float = _training(
        defaults.LEARNING_RATE, "The learning rate at the start.", brief=True, low=1e-9, high=100
    )
    momentum: float = _training(
        defaults.MOMENTUM, "Adam's beta_1, or the momentum of SGD.", low=0, high=0.9999
    )
    adversarial_momentum: float = _training(
        defaults.MOMENTUM,
        "Adam's beta_1, or the momentum of SGD, in the adversarial phases; in joint updates, of "
        "the discriminators.",
        low=0,
        high=0.9999,
    )
    schedule: str = _training(
        "cosine",
        "The learning rate over the run: constant; cosine, down to zero; or steps, the paper's, a "
        "tenth after 30,000 and again after 600,000 steps (epochs 50 and 1000 of MNIST).",
        choices=("constant", "cosine", "steps"),
    )
    update_rule: str = _training(
        defaults.UPDATE_RULE,
        "How phases become optimizer steps. sequential: the paper's order, a pass and an optimizer "
        "for each phase. joint: one encoder pass for all.",
        choices=defaults.UPDATE_RULES,
    )
    on_nan: str = _training(
        "stop",
        "What to do when a loss or a weight is no longer finite. stop: end with an error; the last "
        "checkpoint stays. rollback: go on from the last checkpoint at half the learning rate, or "
        "from the start where that is in vain.",
        choices=("stop", "rollback"),
    )
    steps_per_execution: int = _training(
        1, "Steps in one call of the compiled function; divides --evaluate_every.", low=1
    )

    parzen_samples: int = _results(
        0,
        "Estimate the log-likelihood of the test images by a Parzen window on so many samples of "
        "the model (the paper: 10,000 and 10 million). 0: don't.",
        low=0,
    )
    export_dir: str = _results(
        "saved_models",
        "The model base: exports go to <export_dir>/<name>/<version>.",
        brief=True,
    )
    version: int = _results(
        0, "The version that --mode=promote makes stable. 0: the newest, the canary.", low=0
    )
    precision: str = _results(
        ",".join(PRECISIONS),
        "What --mode=convert makes, with commas between them: float32, float16, dynamic (weights "
        "of 8 bits), int8 (all of 8 bits, calibrated on training examples).",
        pattern=rf"({'|'.join(PRECISIONS)})(,({'|'.join(PRECISIONS)}))*",
    )

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            fields.check(field, getattr(self, field.name))
        for name in _PATHS:  # A shell leaves the ~ in --run_dir=~/here as it is.
            given = getattr(self, name)
            paths = given.split(",") if name == "runs" else [given]
            object.__setattr__(self, name, ",".join(map(os.path.expanduser, paths)))
        for name, default in usage.own_defaults(self.model).items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, default)
        self._check_together()

    def _check_together(self) -> None:
        """Raises a UserError where settings do not go with each other."""
        self._check_steps()
        self._check_mode()
        self._check_labels()
        self._check_views()
        default = {field.name: field.default for field in dataclasses.fields(self)}
        changed = {name: value for name, value in vars(self).items() if value != default[name]}
        self.check_given(changed)

    def _check_steps(self) -> None:
        """Raises a UserError where executions or evaluations don't fill those above them."""
        if self.propagation_steps > self.steps:
            raise errors.UserError(
                f"--propagation_steps={self.propagation_steps}: expected at most "
                f"--steps={self.steps}"
            )
        for name, divisor in (
            ("steps", "evaluate_every"),
            ("propagation_steps", "evaluate_every"),
            ("evaluate_every", "steps_per_execution"),
        ):
            value, by = getattr(self, name), getattr(self, divisor)
            if value % by:
                raise errors.UserError(
                    f"--{name}: expected a multiple of --{divisor}={by}. Received: {value}"
                )

    def _check_mode(self) -> None:
        """Raises a UserError where a mode lacks what it works on, or the model can't do it."""
        if self.mode in usage.ONLY_IN["runs"] and not self.runs:
            raise errors.UserError(f"--mode={self.mode}: expected --runs=<directories of runs>")
        if self.mode in usage.ON_A_RUN and not self.run_dir:
            raise errors.UserError(
                f"--mode={self.mode}: expected --run_dir=<the directory of a finished run>"
            )
        if self.mode == "suggest" and "agreement_weight" in usage.unused(self.model):
            raise errors.UserError(
                "--mode=suggest: expected a model whose encoder gives classes or clusters. "
                f"Received: --model={self.model}"
            )

    def _check_labels(self) -> None:
        """Raises a UserError where the model and the number of labels don't go together."""
        learns = models.VARIANTS[self.model].labels
        if self.labels == 0 and learns != "none":
            raise errors.UserError(
                f"--labels=0: --model={self.model} learns from labels; give it some"
            )
        if self.labels and learns == "none":
            raise errors.UserError(
                f"--labels={self.labels}: --model={self.model} learns from none. Expected: 0"
            )

    def _check_views(self) -> None:
        """Raises a UserError where nothing would see the views."""
        seen = self.agreement_weight or "classification_weight" not in usage.unused(self.model)
        if self.views not in ("auto", "none") and not seen:
            raise errors.UserError(
                f"--views={self.views}: --model={self.model} has no use for them with "
                "--agreement_weight=0"
            )

    def check_given(self, given: Mapping[str, Any]) -> None:
        """Raises a UserError where a setting is given that these settings leave without a use.

        Args:
            given: Values by name, which may be the default ones.
        """
        usage.check_model(given, self.model)
        for name in _OF_VIEWS:
            if self.views == "none" and given.get(name):
                raise errors.UserError(
                    f"--{name}={getattr(self, name)}: --views=none has no views to compare"
                )

    def smoke(self) -> "Config":
        """A try of these settings: few steps.

        Raises:
            UserError: one of those that a try changes is swept.
        """
        changed: dict[str, Any] = {
            "steps": 20,
            "evaluate_every": 10,
            "steps_per_execution": 1,
            "propagation_steps": 10 if self.propagation_steps else 0,
            "parzen_samples": min(self.parzen_samples, 100),
        }
        if self.sweep.partition("=")[0] in changed:
            raise errors.UserError(f"--sweep={self.sweep}: --smoke has its own value of it")
        return dataclasses.replace(self, **changed)

    def on_mnist_5k(self) -> "Config":
        """These settings for the data set that needs no download, with labels that it has."""
        labels = self.labels
        if labels and labels > 0:
            labels = max(10, min(labels, 1000) // 10 * 10)
        changed: dict[str, Any] = {"dataset": "mnist_5k", "labels": labels}
        changed |= {"image_size": None, "on_bad_image": "fail"}  # Of folders and TFDS.
        return dataclasses.replace(self, **changed)

    def to_flagfile(self) -> str:
        """The text of a flagfile that repeats this run exactly."""
        return "".join(f"{flag}\n" for flag in self._flags())

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], where: str) -> "Config":
        """The settings that a record holds.

        Args:
            settings: Of each field its value, by name.
            where: The record, for the message.

        Raises:
            UserError: it has a setting that this version doesn't know, or a value that is not
                allowed. What it lacks has its default.
        """
        try:
            return cls(**settings)
        except (TypeError, errors.UserError) as error:
            raise errors.UserError(
                f"{where}: not the settings of a run of this version ({error})"
            ) from error

    def command(self) -> str:
        """The command that repeats this run: the settings that are not the default, as flags."""
        flags = self._flags(all_of_them=False)
        return shlex.join(["python", "-m", "keras_aae.launch", *flags])

    def _flags(self, all_of_them: bool = True) -> list[str]:
        """The settings that the model uses as flags, or those that are not the default."""
        unsaid = {"mode", "run_dir", *usage.ONLY_IN, *usage.unused(self.model)}
        if self.views == "none":
            unsaid.update(_OF_VIEWS)  # Which `check_given` would refuse.
        own = usage.own_defaults(self.model)
        return [
            f"--{field.name}={getattr(self, field.name)}"
            for field in dataclasses.fields(self)
            if field.name not in unsaid
            and getattr(self, field.name) is not None
            and (all_of_them or getattr(self, field.name) != own.get(field.name, field.default))
        ]

    def differences(self, other: "Config") -> list[str]:
        """The settings that make another result, each as `--name=mine (there: theirs)`."""
        return [
            f"--{name}={value} (there: {getattr(other, name)})"
            for name, value in vars(self).items()
            if name not in _FREE and value != getattr(other, name)
        ]
