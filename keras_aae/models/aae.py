"""The adversarial autoencoder (paper, section 2)."""

from typing import Any

import keras
from tensorflow_probability import distributions as tfd

from keras_aae.models import adversaries
from keras_aae.models import autoencoder
from keras_aae.models import defaults
from keras_aae.models import latents
from keras_aae.models import phases


@keras.saving.register_keras_serializable("keras_aae")
class AdversarialAutoencoder(autoencoder.Autoencoder):
    """An autoencoder whose aggregated posterior q(z) is matched to a prior p(z) by an adversary.

        reconstruction      min over encoder, decoder   -E log p(x|z)
        discrimination      min over D                  -E_p(z) log D(z) - E_q(z) log(1 - D(z))
        generation          min over encoder            -E_q(z) log D(z)
        sliced_wasserstein  min over encoder            SW(q(z), p(z)), not the paper's

    Args:
        input_shape: The shape of one example: (height, width, channels) or (features,).
        style_size: Dimensions of the code z.
        prior: The prior p(z): a name for `priors.get` or a TFP distribution.
        posterior: How z comes from x, q(z|x): `deterministic`; `gaussian`; or `universal`, where
            the encoder also receives noise.
        discriminator_noise: Standard deviation of the noise on the discriminator's input.
        adversarial_weight: Weight of the losses of discrimination and generation.
        sliced_weight: Weight of the sliced Wasserstein distance of codes to samples of the prior,
            not the paper's; see `adversaries.SlicedWasserstein`.
        reconstruction_weight: Weight of the reconstruction loss, which is the mean over pixels, not
            the sum, of -log p(x|z) in nats; or the mean squared error, for feature vectors and
            `observation.Pixels("squared_error")`.
        **kwargs: As `autoencoder.Autoencoder`.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        *,
        style_size: int = defaults.STYLE_SIZE,
        prior: str | tfd.Distribution = defaults.PRIOR,
        posterior: str = defaults.POSTERIOR,
        discriminator_noise: float = defaults.DISCRIMINATOR_NOISE,
        adversarial_weight: float = defaults.ADVERSARIAL_WEIGHT,
        sliced_weight: float = defaults.SLICED_WEIGHT,
        reconstruction_weight: float = defaults.RECONSTRUCTION_WEIGHT,
        **kwargs: Any,
    ):
        z = latents.Style(style_size, prior, posterior)
        adversary = adversaries.Adversary(
            z, noise=discriminator_noise, weight=adversarial_weight, sliced_weight=sliced_weight
        )
        super().__init__(
            input_shape,
            (z,),
            (phases.Reconstruction(reconstruction_weight), *adversary.phases),
            **kwargs,
        )
