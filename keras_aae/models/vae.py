"""The variational autoencoder, the baseline of the paper's comparisons (section 2.1)."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_aae.models import autoencoder
from keras_aae.models import defaults
from keras_aae.models import latents
from keras_aae.models import phases

_FAR = 100.0  # In each dimension of the code.


@keras.saving.register_keras_serializable("keras_aae")
class VariationalAutoencoder(autoencoder.Autoencoder):
    """The networks of the adversarial autoencoder with a KL term in place of the adversary.

        reconstruction    min over encoder, decoder   -E_q(z|x) log p(x|z) / D
        divergence        min over encoder            KL(q(z|x) || p(z))

    D is the number of pixels or features. The losses are logged like this; the weight of the
    divergence is that of the reconstruction divided by D. So weighted, their sum is a bound on
    -log p(x) (Kingma and Welling, arXiv 1312.6114) times reconstruction_weight / D, for squared
    errors up to a constant. q(z|x) is Gaussian.

    Args:
        input_shape: The shape of one example: (height, width, channels) or (features,).
        style_size: Dimensions of the code z.
        prior: The prior p(z): a name for `priors.get` or a TFP distribution. Its density must be
            positive everywhere, as that of `uniform` isn't: the divergence would be infinite.
        reconstruction_weight: Weight of the reconstruction loss; divided by D, of the divergence.
        **kwargs: As `autoencoder.Autoencoder`.

    Raises:
        ValueError: the density of the prior is 0 far from the origin, as that of `uniform` is.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        *,
        style_size: int = defaults.STYLE_SIZE,
        prior: str | tfd.Distribution = defaults.PRIOR,
        reconstruction_weight: float = defaults.RECONSTRUCTION_WEIGHT,
        **kwargs: Any,
    ):
        z = latents.Style(style_size, prior, "gaussian")
        far = tf.constant([[_FAR] * style_size, [-_FAR] * style_size])
        if not np.isfinite(z.prior.log_prob(far)).all():
            raise ValueError(
                "Expected a prior whose density is positive everywhere, or the divergence from a "
                f"Gaussian posterior is infinite. Received: prior={prior!r}"
            )
        reconstruction = phases.Reconstruction(reconstruction_weight)
        divergence = phases.Divergence(z, reconstruction_weight)
        super().__init__(input_shape, (z,), (reconstruction, divergence), **kwargs)
