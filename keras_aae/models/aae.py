"""The adversarial autoencoder (paper, section 2)."""

from collections.abc import Mapping

import tensorflow as tf
import tensorflow_probability as tfp

from keras_aae import streams
from keras_aae.models import autoencoder
from keras_aae.models import base
from keras_aae.models import losses
from keras_aae.models import priors as priors_lib

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
        style_adversary: What of a model with a categorical part the style's discriminator compares
            with the prior: `marginal`, all styles together (the paper's); or `conditional`, those
            of each category, which it then also receives, so that the style can't tell it.
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
        style_adversary: str = "conditional",
        discriminator_noise: float = 0.2,
        adversarial_weight: float = 1.0,
        **kwargs,
    ):
        if style_adversary not in ("marginal", "conditional"):
            raise ValueError(
                "Expected style_adversary='marginal' or 'conditional'. "
                f"Received: style_adversary={style_adversary!r}"
            )
        priors = {**(other_priors or {}), "style": priors_lib.get(prior, style_size)}
        super().__init__(input_shape, priors, **kwargs)
        self.style_adversary = style_adversary
        self.discriminators = {}
        for name in self.inferred:
            with streams.initial_weights(self.seed, f"{_latent(name)} discriminator weights"):
                size = self.parts[name] + self.given_size(name)
                self.discriminators[name] = self.family.discriminator(size)
        self.discriminator_noise = discriminator_noise
        self.adversarial_weight = adversarial_weight
        self.built = True

    @property
    def phases(self) -> tuple[base.Phase, ...]:
        reconstruction = base.Phase(
            "reconstruction",
            self.reconstruction,
            (self.encoder, self.decoder),
            self.reconstruction_weight,
        )
        adversaries = (self._adversary(name) for name in self.discriminators)
        return (reconstruction, *(phase for pair in adversaries for phase in pair))

    def _adversary(self, name):
        """The phases of the adversary of a part of the code."""
        weight = self.adversarial_weight
        discriminator = (self.discriminators[name],)
        return (
            base.Phase(
                "discrimination",
                lambda batch, code: self.discrimination(name, batch, code),
                discriminator,
                weight,
            ),
            base.Phase(
                "generation",
                lambda batch, code: self.generation(name, batch, code),
                (self.encoder,),
                weight,
            ),
        )

    def discrimination(self, name: str, batch: base.Batch, code: autoencoder.Code) -> tf.Tensor:
        """Regularization phase (paper, section 2): a discriminator tells samples from codes."""
        count = tf.shape(batch.x)[0]
        samples = self.sample_for(name, batch)
        both = tf.concat([samples, tf.stop_gradient(code[name])], axis=0)
        logits = self.judge(name, both, batch, code, f"{_latent(name)} discrimination noise")
        real = losses.adversarial(logits[:count], real=True)
        return real + losses.adversarial(logits[count:], real=False)

    def generation(self, name: str, batch: base.Batch, code: autoencoder.Code) -> tf.Tensor:
        """Regularization phase (paper, section 2): the encoder makes codes pass as samples."""
        logits = self.judge(name, code[name], batch, code, f"{_latent(name)} generation noise")
        return losses.adversarial(logits, real=True)

    def sample_for(self, name: str, batch: base.Batch) -> tf.Tensor:
        """A sample of the prior of a part of the code for each example of the batch, [B, size]."""
        return self.priors[name].sample(
            tf.shape(batch.x)[0], seed=batch.seeds(f"{_latent(name)} prior")
        )

    def judge(
        self, name: str, part: tf.Tensor, batch: base.Batch, code: autoencoder.Code, stream: str
    ) -> tf.Tensor:
        """The logits of the discriminator of a part of the code, with noise on its input.

        Args:
            name: The part.
            part: float32 [K B, size]: codes of the batch, or samples for them, K times over.
            batch: The batch.
            code: Its code.
            stream: The stream of the noise.
        """
        noisy = batch.seeds.noise(part, self.discriminator_noise, stream)
        times = tf.shape(part)[0] // tf.shape(batch.x)[0]
        given = tf.tile(self.given(name, batch, code), [times, 1])
        return self.discriminators[name](tf.concat([noisy, given], axis=-1), training=True)

    def given(self, name: str, batch: base.Batch, code: autoencoder.Code) -> tf.Tensor:
        """What the discriminator of a part sees beside it: the category, with a style, or nothing.

        Args:
            name: The part.
            batch: The batch.
            code: Its code.

        Returns:
            float32 [B, given_size(name)].
        """
        if not self.given_size(name):
            return tf.zeros([tf.shape(batch.x)[0], 0])
        categories = (code | self.condition(batch.y))[f"{self.category}_probabilities"]
        return tf.stop_gradient(categories)

    def given_size(self, name: str) -> int:
        """How many values `given` has for each example."""
        conditional = name == "style" and self.category and self.style_adversary == "conditional"
        return self.parts[f"{self.category}_probabilities"] if conditional else 0


def _latent(part):
    """The name of the latent that a part of the code belongs to."""
    return part.removesuffix("_probabilities")
