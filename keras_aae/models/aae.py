"""The adversarial autoencoder (paper, section 2)."""

from collections.abc import Mapping

import tensorflow as tf

from keras_aae import losses
from keras_aae import priors as priors_lib
from keras_aae.models import base


class AdversarialAutoencoder(base.Autoencoder):
    """An autoencoder whose codes, over all the data, are made to look like samples of a prior.

    Each part of the code has its prior p and its discriminator D, a density-ratio estimator between
    prior samples and codes. The encoder is deterministic.

    Args:
        input_shape: The shape of one example: (height, width, channels) or (features,).
        style_size: Dimensions of the code z.
        priors: A TFP distribution of event shape [size] for each part of the code. Default: style,
            a Gaussian N(0, I).
        discriminator_noise: Standard deviation of the noise on the discriminators' inputs.
        adversarial_weight: Weight of the encoder's adversarial loss.
        **kwargs: As `base.Autoencoder`.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        *,
        style_size: int = 10,
        priors: Mapping[str, object] | None = None,
        discriminator_noise: float = 0.2,
        adversarial_weight: float = 1.0,
        **kwargs,
    ):
        priors = dict(priors or {"style": priors_lib.gaussian(style_size)})
        super().__init__(
            input_shape, {name: prior.event_shape[0] for name, prior in priors.items()}, **kwargs
        )
        self.priors = priors
        self.discriminators = {
            name: self.family.discriminator(size) for name, size in self.parts.items()
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
            base.Phase("discrimination", self.discrimination, adversaries),
            base.Phase("generation", self.generation, (self.encoder,), self.adversarial_weight),
        )

    def discrimination(self, batch: base.Batch, code: base.Code) -> tf.Tensor:
        """Regularization phase (paper, section 2): discriminators tell samples from codes."""
        count = tf.shape(batch.x)[0]
        loss = 0.0
        for name, prior in self.priors.items():
            samples = prior.sample(count, seed=batch.seeds())
            logits = self._judge(
                name, tf.concat([samples, tf.stop_gradient(code[name])], axis=0), batch
            )
            loss += losses.adversarial(logits[:count], real=True) + losses.adversarial(
                logits[count:], real=False
            )
        return loss

    def generation(self, batch: base.Batch, code: base.Code) -> tf.Tensor:
        """Regularization phase (paper, section 2): the encoder makes codes pass as samples."""
        return tf.add_n(
            [
                losses.adversarial(self._judge(name, code[name], batch), real=True)
                for name in self.priors
            ]
        )

    def _judge(self, name, part, batch):
        """The logits of a discriminator for a part of the code, with noise on its input."""
        return self.discriminators[name](
            batch.seeds.noise(part, self.discriminator_noise), training=True
        )

    @tf.function(reduce_retracing=True)
    def sample_prior(self, seeds: tf.Tensor) -> base.Code:
        """One draw from the prior for each row of seeds.

        Args:
            seeds: Integer [B]; equal seeds give equal draws.

        Returns:
            float32 [B, size] for each part of the code.
        """

        def draw(seed):
            pair = tf.stack([tf.cast(seed, tf.int64), tf.zeros((), tf.int64)])
            return {
                name: prior.sample(seed=tf.random.fold_in(pair, index))
                for index, (name, prior) in enumerate(self.priors.items())
            }

        signature = {name: tf.TensorSpec([size], tf.float32) for name, size in self.parts.items()}
        return tf.map_fn(draw, seeds, fn_output_signature=signature)

    def generate(self, seeds: tf.Tensor) -> tf.Tensor:
        """The example decoded from a draw of the prior, for each seed; see `sample_prior`."""
        return self.decode(self.sample_prior(seeds))

    def signatures(self):
        generate = base.Signature(
            lambda seed: {self.observation.name: self.generate(seed)},
            [tf.TensorSpec([None], tf.int64, name="seed")],
        )
        return super().signatures() | {"generate": generate}
