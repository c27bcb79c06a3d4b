"""What is measured: the same mathematics in several implementations."""

import dataclasses
from typing import Any

WIDTH = 1000  # Of the hidden layers of dense networks.
IMAGES = 300  # For the networks alone.
COMMAND = "command"  # Beside the cases: what the command line takes.

# Where each contestant is: the module, and the function in it that takes the case and returns one
# that takes so many steps and returns the seconds that they took.
CONTESTANTS = {
    "ours": ("ours", "joint"),
    "ours, sequential updates": ("ours", "sequential"),
    "pythae, optimiser step": ("pythae_model", "step"),
    "pythae, epoch": ("pythae_model", "epoch"),
    "PyTorch loop": ("pytorch", "loop"),
    "Keras loop": ("keras_loop", "loop"),
    "limit of the machine": ("limit", "step"),
    "ours, half the batch": ("ours", "half_batch"),
    "ours, twice the batch": ("ours", "twice_the_batch"),
    "ours, four times the batch": ("ours", "four_times_the_batch"),
    "ours, images on the disk": ("ours", "on_the_disk"),
    "our networks": ("ours", "networks"),
    "PyTorch networks": ("pytorch", "networks"),
    "our window": ("parzen", "ours"),
    "NumPy and SciPy": ("parzen", "scipy"),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """A training step that contestants take.

    Attributes:
        name: What it is.
        flags: What the command line gets for ours, which the others are like.
        contestants: Names in `CONTESTANTS`; the times of all are divided by that of the first.
        steps: How many a round has.
    """

    name: str
    flags: dict[str, Any]
    contestants: tuple[str, ...]
    steps: int

    @property
    def classes(self) -> int:
        """How many are learned from labels, beside the style; 0 without labels."""
        return 10 if "labelled_batch_size" in self.flags else 0

    @property
    def modules(self) -> set[str]:
        """Where its contestants are."""
        return {CONTESTANTS[each][0] for each in self.contestants}


_PLAIN = {  # Without what only ours has.
    "dataset": "mnist_5k",
    "network": "mlp",
    "batch_size": 100,
    "discriminator_noise": 0.0,
    "sliced_weight": 0.0,
}

CASES = {
    "aae": Case(
        "basic AAE, 784-1000-1000-8",
        {**_PLAIN, "model": "aae", "style_size": 8},
        (
            "ours",
            "ours, sequential updates",
            "pythae, optimiser step",
            "pythae, epoch",
            "PyTorch loop",
            "Keras loop",
            "limit of the machine",
        ),
        40,
    ),
    "semisup": Case(
        "semi-supervised AAE, 784-1000-1000-(10, 10)",
        {
            **_PLAIN,
            "model": "semisup",
            "style_size": 10,
            "labels": 100,
            "labelled_batch_size": 100,
            "style_adversary": "marginal",
            "agreement_weight": 0.0,
            "views": "none",
        },
        ("ours", "ours, sequential updates", "PyTorch loop", "limit of the machine"),
        25,
    ),
    "quickstart": Case(
        "quickstart.cfg",
        {"flagfile": "quickstart.cfg"},
        (
            "ours",
            "ours, half the batch",
            "ours, twice the batch",
            "ours, four times the batch",
            "ours, images on the disk",
        ),
        15,
    ),
    "parzen": Case(
        "Parzen window on 1,000 samples under 13 bandwidths, seen from 3,600 images",
        {"dataset": "mnist_5k"},
        ("our window", "NumPy and SciPy"),
        1,
    ),
    "conv": Case(
        "convolutional encoder and decoder, 300 images, forward and backward",
        {"dataset": "mnist_5k", "network": "conv"},
        ("our networks", "PyTorch networks"),
        15,
    ),
}
