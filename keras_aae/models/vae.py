"""The variational autoencoder, the baseline of the paper's comparisons (section 2.2).

Kingma and Welling, arXiv 1312.6114: log p(x) is at least E_q(z|x) log p(x|z) - KL(q(z|x) || p(z)).
"""

import math

import tensorflow as tf
import tensorflow_probability as tfp

from keras_aae.models import autoencoder
from keras_aae.models import base
from keras_aae.models import priors as priors_lib

tfd = tfp.distributions


class VariationalAutoencoder(base.PhasedAutoencoder):
    """The networks of the adversarial autoencoder with a KL term in place of the adversary.

    Args:
        input_shape: The shape of one example: (height, width, channels) or (features,).
        style_size: Dimensions of the code z.
        prior: A name from `priors.NAMES` or a TFP distribution.
        **kwargs: As `base.PhasedAutoencoder`; the posterior is Gaussian.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        *,
        style_size: int = 10,
        prior: str | tfd.Distribution = "gaussian",
        **kwargs,
    ):
        if kwargs.get("posterior") == "universal":
            raise ValueError(
                "Expected posterior='gaussian' for a VAE: the KL term needs the density of "
                "q(z|x). Received: posterior='universal'"
            )
        priors = {"style": priors_lib.get(prior, style_size)}
        super().__init__(input_shape, priors, **(kwargs | {"posterior": "gaussian"}))
        self.built = True

    @property
    def phases(self) -> tuple[base.Phase, ...]:
        # The reconstruction loss is a mean over pixels, so the divergence is divided by as many.
        weight = self.reconstruction_weight
        divergence_weight = weight / math.prod(self.example_shape)
        return (
            base.Phase("reconstruction", self.reconstruction, (self.encoder, self.decoder), weight),
            base.Phase("divergence", self.divergence, (self.encoder,), divergence_weight),
        )

    def divergence(self, batch: base.Batch, code: autoencoder.Code) -> tf.Tensor:
        """KL(q(z|x) || p(z)) in nats, [B]: exact for a Gaussian prior, else from the drawn code."""
        del batch
        posterior = tfd.MultivariateNormalDiag(
            code["style_mean"], tf.exp(0.5 * code["style_log_variance"])
        )
        prior = self.priors["style"]
        try:
            return tfd.kl_divergence(posterior, prior)
        except NotImplementedError:
            return posterior.log_prob(code["style"]) - prior.log_prob(code["style"])
