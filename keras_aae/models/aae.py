"""The adversarial autoencoder (paper, section 2)."""

from collections.abc import Mapping

import tensorflow as tf
import tensorflow_probability as tfp

from keras_aae import losses
from keras_aae import priors as priors_lib
from keras_aae.models import autoencoder
from keras_aae.models import base

tfd = tfp.distributions


class AdversarialAutoencoder(base.PhasedAutoencoder):
    """An autoencoder whose codes, over all the data, are made to look like samples of a prior.

    Each part of the code has its prior p and its discriminator D, a density-ratio estimator between
    prior samples and codes.

    Args:
        input_shape: The shape of one example: (height, width, channels) or (features,).
        style_size: Dimensions of the code z.
        prior: The prior of the style: a name from `priors.NAMES` or a TFP distribution.
        other_priors: The priors of the other parts of the code, by name.
        given_size: How many values the discriminators see beside a code; see `given`.
        discriminator_noise: Standard deviation of the noise on the discriminators' inputs.
        adversarial_weight: Weight of the adversarial losses, of the discriminators and the encoder.
        **kwargs: As `base.PhasedAutoencoder`.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        *,
        style_size: int = 10,
        prior: str | tfd.Distribution = "gaussian",
        other_priors: Mapping[str, tfd.Distribution] | None = None,
        given_size: int = 0,
        discriminator_noise: float = 0.2,
        adversarial_weight: float = 1.0,
        **kwargs,
    ):
        priors = {**(other_priors or {}), "style": priors_lib.get(prior, style_size)}
        super().__init__(input_shape, priors, **kwargs)
        self.discriminators = {
            name: self.family.discriminator(self.parts[name] + given_size) for name in self.inferred
        }
        self.discriminator_noise = discriminator_noise
        self.adversarial_weight = adversarial_weight
        self.built = True

    @property
    def phases(self) -> tuple[base.Phase, ...]:
        adversaries = tuple(self.discriminators.values())
        return (
            base.Phase(
                "reconstruction",
                self.reconstruction,
                (self.encoder, self.decoder),
                self.reconstruction_weight,
            ),
            base.Phase("discrimination", self.discrimination, adversaries, self.adversarial_weight),
            base.Phase("generation", self.generation, (self.encoder,), self.adversarial_weight),
        )

    def discrimination(self, batch: base.Batch, code: autoencoder.Code) -> tf.Tensor:
        """Regularization phase (paper, section 2): discriminators tell samples from codes."""
        count = tf.shape(batch.x)[0]
        loss = 0.0
        for name in self.discriminators:
            samples = self.sample_for(name, batch)
            both = tf.concat([samples, tf.stop_gradient(code[name])], axis=0)
            logits = self.judge(name, both, batch)
            loss += losses.adversarial(logits[:count], real=True)
            loss += losses.adversarial(logits[count:], real=False)
        return loss

    def generation(self, batch: base.Batch, code: autoencoder.Code) -> tf.Tensor:
        """Regularization phase (paper, section 2): the encoder makes codes pass as samples."""
        verdicts = [self.judge(name, code[name], batch) for name in self.discriminators]
        return tf.add_n([losses.adversarial(logits, real=True) for logits in verdicts])

    def sample_for(self, name: str, batch: base.Batch) -> tf.Tensor:
        """A sample of the prior of a part of the code for each example of the batch, [B, size]."""
        return self.priors[name].sample(tf.shape(batch.x)[0], seed=batch.seeds())

    def judge(self, name: str, part: tf.Tensor, batch: base.Batch) -> tf.Tensor:
        """The logits of the discriminator of a part of the code, with noise on its input.

        Args:
            name: The part.
            part: float32 [K B, size]: codes of the batch, or samples for them, K times over.
            batch: The batch.
        """
        noisy = batch.seeds.noise(part, self.discriminator_noise)
        times = tf.shape(part)[0] // tf.shape(batch.x)[0]
        given = tf.tile(self.given(batch), [times, 1])
        return self.discriminators[name](tf.concat([noisy, given], axis=-1), training=True)

    def given(self, batch: base.Batch) -> tf.Tensor:
        """What the discriminators see of each example beside its code: nothing, by default.

        Returns:
            float32 [B, given_size].
        """
        return tf.zeros([tf.shape(batch.x)[0], 0])
