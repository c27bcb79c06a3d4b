"""What matches codes to their prior: a discriminator with its two phases, and a distance beside it.

The discriminator learns to tell samples of the prior from codes, and the encoder to make codes pass
for samples (paper, section 2).
"""

import keras
import tensorflow as tf

from keras_aae import streams
from keras_aae.models import checks
from keras_aae.models import defaults
from keras_aae.models import latents
from keras_aae.models import losses
from keras_aae.models import networks
from keras_aae.models import phases

_DIRECTIONS = 64  # Of the sliced Wasserstein distance, in each step.


class Adversary:
    """The discriminator of a latent variable: prior samples against codes (paper, section 2).

    Its logit is high for what it takes for a sample of the prior, D = sigmoid(logit).

    Args:
        latent: The latent variable.
        context: A discrete latent variable whose part of the code the discriminator receives too,
            beside codes and samples alike and without a gradient: q(y|x), or a label one-hot. Then
            it compares p(z) with q(z|y), else with q(z).
        noise: Standard deviation of the noise on the discriminator's input.
        weight: Weight of both losses.
        sliced_weight: Weight of the sliced Wasserstein distance beside them; with 0 there is none.

    Raises:
        ValueError: the noise or a weight is negative, infinite or NaN.

    Attributes:
        discriminator: From [B, size + context_size] to logits [B, 1].
        phases: Its two phases, and that of the distance.
        whole_batch: As of its phases; see `Phase`.
    """

    whole_batch = False

    def __init__(
        self,
        latent: latents.Latent,
        *,
        context: latents.Categorical | None = None,
        noise: float,
        weight: float,
        sliced_weight: float = 0.0,
    ):
        self.latent = latent
        self.discriminator: keras.Model
        self.phases: tuple[phases.Phase, ...] = (
            Discrimination(self, weight),
            Generation(self, weight),
        )
        if sliced_weight:
            self.phases += (SlicedWasserstein(latent, sliced_weight),)
        checks.not_negative(discriminator_noise=noise)
        self._context = context
        self._noise = noise

    @property
    def context_size(self) -> int:
        """How many values of context the discriminator receives."""
        return self._context.size if self._context else 0

    def context(self, model: phases.Model, batch: phases.Batch, code: latents.Code) -> tf.Tensor:
        """What the discriminator receives beside a code, float32 [B, context_size]."""
        if not self._context:
            return tf.zeros([tf.shape(batch.x)[0], 0])
        return tf.stop_gradient((code | model.label_code(batch.y))[self._context.part])

    def sample(self, batch: phases.Batch) -> tf.Tensor:
        """A sample of the prior for each example of the batch, float32 [B, size]."""
        seed = batch.seeds(f"{self.latent.name} prior")
        return self.latent.sample(tf.shape(batch.x)[0], seed)

    def logits(
        self, values: tf.Tensor, context: tf.Tensor, batch: phases.Batch, stream: str
    ) -> tf.Tensor:
        """What the discriminator says of codes or samples, with noise on them.

        Args:
            values: float32 [N, size].
            context: float32 [N, context_size].
            batch: The batch that they belong to.
            stream: The stream of the noise.

        Returns:
            float32 [N, 1].
        """
        noisy = batch.noise(values, self._noise, stream)
        inputs = tf.concat([noisy, context], axis=-1)
        return tf.cast(self.discriminator(inputs, training=batch.training), tf.float32)


def style_context(style_adversary: str, latent: latents.Categorical) -> latents.Categorical | None:
    """The context of the style's discriminator.

    Args:
        style_adversary: `conditional`, to match p(z) for each class or cluster; or `marginal`.
        latent: The discrete latent variable.

    Raises:
        ValueError: it is neither.
    """
    if style_adversary not in defaults.STYLE_ADVERSARIES:
        raise ValueError(
            f"Expected style_adversary to be one of {defaults.STYLE_ADVERSARIES}. "
            f"Received: style_adversary={style_adversary!r}"
        )
    return latent if style_adversary == "conditional" else None


class Discrimination(phases.Phase):
    """-log D(sample) - log(1 - D(code)), which trains the discriminator (paper, section 2).

    A prior that is learned moves first.
    """

    adversarial = True

    def __init__(self, adversary: Adversary, weight: float):
        super().__init__("discrimination", weight)
        self.adversary = adversary
        self.whole_batch = adversary.whole_batch

    def build(self, model: phases.Model) -> None:
        latent = self.adversary.latent
        with streams.initial_weights(model.seed, f"{latent.name} discriminator weights"):
            size = latent.size + self.adversary.context_size
            made = model.family.discriminator(size)
            self.adversary.discriminator = networks.built(made, (size,))
        model.discriminators[latent.name] = self.adversary.discriminator

    def networks(self, model: phases.Model) -> tuple[keras.Model, ...]:
        return (self.adversary.discriminator,)

    def loss(self, model: phases.Model, batch: phases.Batch, code: latents.Code) -> tf.Tensor:
        adversary, count = self.adversary, tf.shape(batch.x)[0]
        latent = adversary.latent
        if batch.training:
            latent.learn_prior(code[latent.part])
        context = tf.tile(adversary.context(model, batch, code), [2, 1])
        both = tf.concat([adversary.sample(batch), tf.stop_gradient(code[latent.part])], axis=0)
        logits = adversary.logits(both, context, batch, f"{latent.name} discrimination noise")
        real = losses.adversarial(logits[:count], real=True)
        return real + losses.adversarial(logits[count:], real=False)


class Generation(phases.Phase):
    """-log D(code), which trains the encoder to make codes pass as samples (paper, section 2)."""

    adversarial = True

    def __init__(self, adversary: Adversary, weight: float):
        super().__init__("generation", weight)
        self.adversary = adversary
        self.whole_batch = adversary.whole_batch

    def networks(self, model: phases.Model) -> tuple[keras.Model, ...]:
        return (model.encoder,)

    def loss(self, model: phases.Model, batch: phases.Batch, code: latents.Code) -> tf.Tensor:
        adversary, latent = self.adversary, self.adversary.latent
        context = adversary.context(model, batch, code)
        stream = f"{latent.name} generation noise"
        logits = adversary.logits(code[latent.part], context, batch, stream)
        return losses.adversarial(logits, real=True)


class SlicedWasserstein(phases.EncoderPhase):
    """The sliced Wasserstein distance of codes to samples of the prior (arXiv 1804.01947).

    The mean over random directions of the squared distance of their projections, for the global
    batch. It damps the oscillation of adversarial training, in which the mean of a dimension was
    off by up to half a standard deviation. Not from the paper.

    Args:
        latent: The latent variable.
        weight: The weight of the loss.
    """

    measured = False

    def __init__(self, latent: latents.Latent, weight: float):
        super().__init__("sliced_wasserstein", latent, weight)

    def loss(self, model: phases.Model, batch: phases.Batch, code: latents.Code) -> tf.Tensor:
        del model
        drawn = batch.seeds.normal([self.latent.size, _DIRECTIONS], "sliced directions")
        context = tf.distribute.get_replica_context()
        directions = tf.math.l2_normalize(context.all_reduce("MEAN", drawn), axis=0)
        samples = self.latent.sample(tf.shape(batch.x)[0], batch.seeds("sliced prior"))
        codes, samples = _gathered(code[self.latent.part]), _gathered(samples)
        return losses.sliced_wasserstein(codes, samples, directions)[None]


def _gathered(values: tf.Tensor) -> tf.Tensor:
    """The rows of all replicas, [replicas * B, size]; each has as many."""
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    own = tf.one_hot(context.replica_id_in_sync_group, replicas)[:, None, None]
    return tf.reshape(context.all_reduce("SUM", own * values), [-1, values.shape[-1]])
