"""The supervised adversarial autoencoder (paper, section 4)."""

from typing import Any

import keras
from tensorflow_probability import distributions as tfd

from keras_aae.models import adversaries
from keras_aae.models import autoencoder
from keras_aae.models import defaults
from keras_aae.models import latents
from keras_aae.models import phases


@keras.saving.register_keras_serializable("keras_aae")
class SupervisedAAE(autoencoder.Autoencoder):
    """The decoder receives the class y, one-hot, so that the code z is left with the style alone.

    `fit`, `evaluate` and `predict` want the label of each example.

        reconstruction      min over encoder, decoder   -E log p(x|y, z)
        discrimination      min over D                  -E_p(z) log D(z, y)
                                                        -E_q(z|y) log(1 - D(z, y))
        generation          min over encoder            -E_q(z|y) log D(z, y)
        sliced_wasserstein  min over encoder            SW(q(z), p(z)), not the paper's

    Args:
        input_shape: The shape of one example: (height, width, channels) or (features,).
        num_classes: The number of classes.
        style_adversary: Whether the style discriminator matches p(z) per class (`conditional`: it
            receives y) or in aggregate (`marginal`, the paper's).
        style_size: As in `aae.AdversarialAutoencoder`, like all that follow.
        prior: See there.
        posterior: See there.
        discriminator_noise: See there.
        adversarial_weight: See there.
        sliced_weight: See there.
        reconstruction_weight: See there.
        **kwargs: As `autoencoder.Autoencoder`.

    Raises:
        ValueError: there are fewer than two classes.
    """

    labels = "all"

    def __init__(
        self,
        input_shape: tuple[int, ...],
        *,
        num_classes: int = defaults.NUM_CLASSES,
        style_adversary: str = defaults.STYLE_ADVERSARY,
        style_size: int = defaults.STYLE_SIZE,
        prior: str | tfd.Distribution = defaults.PRIOR,
        posterior: str = defaults.POSTERIOR,
        discriminator_noise: float = defaults.DISCRIMINATOR_NOISE,
        adversarial_weight: float = defaults.ADVERSARIAL_WEIGHT,
        sliced_weight: float = defaults.SLICED_WEIGHT,
        reconstruction_weight: float = defaults.RECONSTRUCTION_WEIGHT,
        **kwargs: Any,
    ):
        y = latents.Label("class", num_classes)
        z = latents.Style(style_size, prior, posterior)
        adversary = adversaries.Adversary(
            z,
            context=adversaries.style_context(style_adversary, y),
            noise=discriminator_noise,
            weight=adversarial_weight,
            sliced_weight=sliced_weight,
        )
        super().__init__(
            input_shape,
            (y, z),
            (phases.Reconstruction(reconstruction_weight), *adversary.phases),
            **kwargs,
        )
