"""What is measured: the same mathematics in several implementations."""

import dataclasses
from typing import Any

# Where each contestant is: the module and the function that prepares it.
CONTESTANTS = {
    "ours": ("ours", "joint"),
    "ours, sequential updates": ("ours", "sequential"),
    "reference": ("ours", "joint"),
    "pythae, optimiser step": ("pythae_model", "step"),
    "pythae, epoch": ("pythae_model", "epoch"),
    "PyTorch loop": ("pytorch", "loop"),
    "Keras loop": ("keras_loop", "loop"),
    "limit of the machine": ("limit", "step"),
    "our networks": ("ours", "networks"),
    "PyTorch networks": ("pytorch", "networks"),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """A training step that contestants take.

    Attributes:
        name: What it is.
        settings: Those of `keras_aae.config.Config` for ours, which the others are like.
        contestants: Names in `CONTESTANTS`; the times of all are divided by that of the first.
        steps: How many a round has.
    """

    name: str
    settings: dict[str, Any]
    contestants: tuple[str, ...]
    steps: int

    @property
    def labelled(self) -> bool:
        """Whether labels are learned."""
        return self.settings["model"] == "semisup"


_PLAIN = {
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
        {"model": "semisup", "dataset": "mnist_5k", "labels": 100},
        ("ours",),
        15,
    ),
    "conv": Case(
        "convolutional encoder and decoder, 300 images, forward and backward",
        {"model": "semisup", "dataset": "mnist_5k", "network": "conv"},
        ("our networks", "PyTorch networks"),
        15,
    ),
}
