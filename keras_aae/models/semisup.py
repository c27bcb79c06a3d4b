"""The semi-supervised adversarial autoencoder (paper, section 5)."""

from collections.abc import Callable
from collections.abc import Sequence
import functools
from typing import Any

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_aae.data import augmentation
from keras_aae.models import autoencoder
from keras_aae.models import defaults
from keras_aae.models import latents
from keras_aae.models import phases


@keras.saving.register_keras_serializable("keras_aae")
class SemiSupervisedAAE(autoencoder.Autoencoder):
    """The encoder gives a class q(y|x) and a style z; few labels say which class is which.

        reconstruction    min over encoder, decoder   -E log p(x|y, z)
        discrimination    min over D_y, D_z           -E_p(y) log D_y(y) - E_q(y) log(1 - D_y(y))
                                                      -E_p(z) log D_z(z, y)
                                                      -E_q(z|y) log(1 - D_z(z, y))
        generation        min over encoder            -E_q(y) log D_y(y) - E_q(z|y) log D_z(z, y)
        agreement         min over encoder            -I(y; y') of two views of x
        classification    min over encoder            -E log q(y|x) over labelled examples

    The agreement is not the paper's; see `phases.Agreement`.

    Args:
        input_shape: The shape of one example: (height, width, channels) or (features,).
        num_classes: The number of classes.
        classification_weight: Weight of the classification loss.
        style_adversary: Whether the style discriminator matches p(z) per class (`conditional`: it
            receives y, so that the style can't tell it) or in aggregate (`marginal`, the paper's).
        agreement_weight: Weight of the agreement. With 0 there is one view of each example and
            nothing but the paper's losses.
        views: Random changes of an example that keep its class; see `autoencoder.Autoencoder`.
            Default: `augmentation.default_views`.
        style_size: As in `aae.AdversarialAutoencoder`, like all that follow.
        prior: See there.
        posterior: See there.
        discriminator_noise: See there.
        adversarial_weight: See there.
        reconstruction_weight: See there.
        extra_phases: See `autoencoder.Autoencoder`.
        **kwargs: As `autoencoder.Autoencoder`.

    Raises:
        ValueError: there are fewer than two classes.
    """

    labels = "few"
    prediction = "class"

    def __init__(
        self,
        input_shape: tuple[int, ...],
        *,
        num_classes: int = defaults.NUM_CLASSES,
        classification_weight: float = defaults.CLASSIFICATION_WEIGHT,
        style_adversary: str = defaults.STYLE_ADVERSARY,
        agreement_weight: float = defaults.AGREEMENT_WEIGHT,
        views: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
        style_size: int = defaults.STYLE_SIZE,
        prior: str | tfd.Distribution = defaults.PRIOR,
        posterior: str = defaults.POSTERIOR,
        discriminator_noise: float = defaults.DISCRIMINATOR_NOISE,
        adversarial_weight: float = defaults.ADVERSARIAL_WEIGHT,
        reconstruction_weight: float = defaults.RECONSTRUCTION_WEIGHT,
        extra_phases: Sequence[phases.Phase] = (),
        **kwargs: Any,
    ):
        y = latents.Categorical("class", num_classes)
        z = latents.Style(style_size, prior, posterior)
        adversary = functools.partial(
            phases.Adversary, noise=discriminator_noise, weight=adversarial_weight
        )
        super().__init__(
            input_shape,
            (y, z),
            (
                phases.Reconstruction(reconstruction_weight),
                *adversary(y).phases,
                *adversary(z, context=phases.style_context(style_adversary, y)).phases,
                *((phases.Agreement(y, agreement_weight),) if agreement_weight else ()),
                phases.Classification(y, classification_weight),
                *extra_phases,
            ),
            views=(views or augmentation.default_views(input_shape)) if agreement_weight else None,
            **kwargs,
        )
