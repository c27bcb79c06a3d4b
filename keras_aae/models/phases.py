"""The phases of training: named losses, each with its weight and the networks that it trains.

A step of training goes through the phases that a variant states; `updates` says in which order and
with which optimizers. A phase of one's own is a subclass of `Phase`, and every variant takes some
as `extra_phases`.
"""

import abc
from collections.abc import Sequence
import math
from typing import NamedTuple
from typing import Protocol

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_aae import streams
from keras_aae.models import defaults
from keras_aae.models import latents
from keras_aae.models import losses
from keras_aae.models import networks
from keras_aae.models import observation
from keras_aae.models import seeds as seeds_lib

_JOINT_RATE = 0.1  # Of the moving average of the joint distribution of two views.
_DIRECTIONS = 64  # Of the sliced Wasserstein distance, in each step.


class Batch(NamedTuple):
    """One replica's minibatch: examples as they are, then rows that stand for less than the data.

    Those are examples drawn for their labels, which come again and again where there are few, and
    random views of all rows before them. What models the data has to be trained on the first
    `count` rows alone: the reconstruction, and adversaries, which compare codes with the prior.

    Attributes:
        x: Normalised examples, float32 [B, ...].
        y: Labels, int32 [B], -1 where unlabelled.
        count: How many rows, from the first on, are the data as it is, int32 scalar.
        seeds: The streams of this step's random draws.
        training: Whether networks are trained on it; else losses are only measured, with the
            averaged encoder and decoder and without noise on inputs. Codes are still drawn from
            q(z|x).
    """

    x: tf.Tensor
    y: tf.Tensor
    count: tf.Tensor
    seeds: seeds_lib.Seeds
    training: bool = True

    def plain(self) -> "Batch":
        """The first `count` rows."""
        return self._replace(x=self.x[: self.count], y=self.y[: self.count])

    def plain_code(self, code: latents.Code) -> latents.Code:
        """Of the code of this batch that of the first `count` rows."""
        return {part: values[: self.count] for part, values in code.items()}

    def noise(self, values: tf.Tensor, stddev: float, stream: str) -> tf.Tensor:
        """`values` with Gaussian noise added, in training."""
        return self.seeds.noise(values, stddev, stream) if self.training else values


class Model(Protocol):
    """What phases see of a model: a part of `autoencoder.Autoencoder`, where it is described."""

    encoder: keras.Model
    decoder: keras.Model
    averaged_decoder: keras.Model
    discriminators: dict[str, keras.Model]
    family: networks.Family
    observation: observation.Observation
    example_shape: tuple[int, ...]
    seed: int
    step: keras.Variable

    def label_code(self, labels: tf.Tensor | None) -> latents.Code:
        """The parts of the code that a label gives."""

    def decoder_output(self, code: latents.Code, training: bool) -> tf.Tensor:
        """The decoder's output for a code."""

    def add_state(self, name: str, shape: tuple[int, ...]) -> keras.Variable:
        """A variable for what a phase keeps from step to step."""


class Phase(abc.ABC):
    """A loss that a minibatch is trained on.

    Args:
        name: What it is logged as. Phases of one name are logged as their sum, and are one step of
            a sequential update.
        weight: The weight of the loss; what is logged is without it.

    Attributes:
        adversarial: Whether the adversarial optimizer trains it in sequential updates.
        measured: Whether it has a value on held-out examples, too.
        whole_batch: Whether it sees all rows of a batch; else those of `Batch.plain` alone.
    """

    adversarial = False
    measured = True
    whole_batch = False

    def __init__(self, name: str, weight: float = 1.0):
        self.name = name
        self.weight = weight

    def build(self, model: Model) -> None:  # noqa: B027
        """Makes the networks of the phase's own, where it has any; the model has its by then."""

    @abc.abstractmethod
    def networks(self, model: Model) -> tuple[keras.Model, ...]:
        """The networks that it trains."""

    @abc.abstractmethod
    def loss(self, model: Model, batch: Batch, code: latents.Code) -> tf.Tensor:
        """The loss of each example, [B], or one of the whole batch, [1].

        Args:
            model: The model.
            batch: The rows that it sees of the minibatch.
            code: Their code.
        """


def variables(phases: Sequence[Phase], model: Model) -> list[keras.Variable]:
    """The variables that phases train, without repeats and in order."""
    found = {
        id(variable): variable
        for phase in phases
        for network in phase.networks(model)
        for variable in network.trainable_variables
    }
    return list(found.values())


class Reconstruction(Phase):
    """-log p(x|z) or the squared error, a mean over pixels or features, of the clean example."""

    def __init__(self, weight: float):
        super().__init__("reconstruction", weight)

    def networks(self, model: Model) -> tuple[keras.Model, ...]:
        return model.encoder, model.decoder

    def loss(self, model: Model, batch: Batch, code: latents.Code) -> tf.Tensor:
        whole = code | model.label_code(batch.y)
        return model.observation.loss(batch.x, model.decoder_output(whole, batch.training))


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
        self.phases: tuple[Phase, ...] = (Discrimination(self, weight), Generation(self, weight))
        if sliced_weight:
            self.phases += (SlicedWasserstein(latent, sliced_weight),)
        self._context = context
        self._noise = noise

    @property
    def context_size(self) -> int:
        """How many values of context the discriminator receives."""
        return self._context.size if self._context else 0

    def context(self, model: Model, batch: Batch, code: latents.Code) -> tf.Tensor:
        """What the discriminator receives beside a code, float32 [B, context_size]."""
        if not self._context:
            return tf.zeros([tf.shape(batch.x)[0], 0])
        return tf.stop_gradient((code | model.label_code(batch.y))[self._context.part])

    def sample(self, batch: Batch) -> tf.Tensor:
        """A sample of the prior for each example of the batch, float32 [B, size]."""
        seed = batch.seeds(f"{self.latent.name} prior")
        return self.latent.sample(tf.shape(batch.x)[0], seed)

    def logits(self, values: tf.Tensor, context: tf.Tensor, batch: Batch, stream: str) -> tf.Tensor:
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


class Discrimination(Phase):
    """-log D(sample) - log(1 - D(code)), which trains the discriminator (paper, section 2)."""

    adversarial = True

    def __init__(self, adversary: Adversary, weight: float):
        super().__init__("discrimination", weight)
        self.adversary = adversary
        self.whole_batch = adversary.whole_batch

    def build(self, model: Model) -> None:
        latent = self.adversary.latent
        with streams.initial_weights(model.seed, f"{latent.name} discriminator weights"):
            size = latent.size + self.adversary.context_size
            made = model.family.discriminator(size)
            self.adversary.discriminator = networks.built(made, (size,))
        model.discriminators[latent.name] = self.adversary.discriminator

    def networks(self, model: Model) -> tuple[keras.Model, ...]:
        return (self.adversary.discriminator,)

    def loss(self, model: Model, batch: Batch, code: latents.Code) -> tf.Tensor:
        adversary, count = self.adversary, tf.shape(batch.x)[0]
        latent = adversary.latent
        context = tf.tile(adversary.context(model, batch, code), [2, 1])
        both = tf.concat([adversary.sample(batch), tf.stop_gradient(code[latent.part])], axis=0)
        logits = adversary.logits(both, context, batch, f"{latent.name} discrimination noise")
        real = losses.adversarial(logits[:count], real=True)
        return real + losses.adversarial(logits[count:], real=False)


class Generation(Phase):
    """-log D(code), which trains the encoder to make codes pass as samples (paper, section 2)."""

    adversarial = True

    def __init__(self, adversary: Adversary, weight: float):
        super().__init__("generation", weight)
        self.adversary = adversary
        self.whole_batch = adversary.whole_batch

    def networks(self, model: Model) -> tuple[keras.Model, ...]:
        return (model.encoder,)

    def loss(self, model: Model, batch: Batch, code: latents.Code) -> tf.Tensor:
        adversary, latent = self.adversary, self.adversary.latent
        context = adversary.context(model, batch, code)
        stream = f"{latent.name} generation noise"
        logits = adversary.logits(code[latent.part], context, batch, stream)
        return losses.adversarial(logits, real=True)


class SlicedWasserstein(Phase):
    """The sliced Wasserstein distance of codes to samples of the prior (arXiv 1804.01947).

    The mean over random directions of the squared distance of their projections, for the global
    batch. It steadies the adversary's game, which by itself goes round the prior: the mean of a
    dimension was off by up to half a standard deviation. Not from the paper.

    Args:
        latent: The latent variable.
        weight: The weight of the loss.
    """

    measured = False

    def __init__(self, latent: latents.Latent, weight: float):
        super().__init__("sliced_wasserstein", weight)
        self._latent = latent

    def networks(self, model: Model) -> tuple[keras.Model, ...]:
        return (model.encoder,)

    def loss(self, model: Model, batch: Batch, code: latents.Code) -> tf.Tensor:
        del model
        drawn = batch.seeds.normal([self._latent.size, _DIRECTIONS], "sliced directions")
        context = tf.distribute.get_replica_context()
        directions = tf.math.l2_normalize(context.all_reduce("MEAN", drawn), axis=0)
        samples = self._latent.sample(tf.shape(batch.x)[0], batch.seeds("sliced prior"))
        codes, samples = _gathered(code[self._latent.part]), _gathered(samples)
        return losses.sliced_wasserstein(codes, samples, directions)[None]


def _gathered(values: tf.Tensor) -> tf.Tensor:
    """The rows of all replicas, [replicas * B, size]; each has as many."""
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    own = tf.one_hot(context.replica_id_in_sync_group, replicas)[:, None, None]
    return tf.reshape(context.all_reduce("SUM", own * values), [-1, values.shape[-1]])


class Divergence(Phase):
    """KL(q(z|x) || p(z)) in nats: exact for a Gaussian prior, else from the drawn code.

    Its weight is divided by the number of pixels, since the reconstruction loss is a mean over
    them: together they are the evidence lower bound of Kingma and Welling, arXiv 1312.6114.

    Args:
        latent: The latent variable, with a Gaussian posterior.
        weight: That of the reconstruction.
    """

    def __init__(self, latent: latents.Latent, weight: float):
        super().__init__("divergence", weight)
        self._latent = latent

    def build(self, model: Model) -> None:
        self.weight /= math.prod(model.example_shape)

    def networks(self, model: Model) -> tuple[keras.Model, ...]:
        return (model.encoder,)

    def loss(self, model: Model, batch: Batch, code: latents.Code) -> tf.Tensor:
        del model, batch
        part, prior = self._latent.part, self._latent.prior
        posterior = tfd.MultivariateNormalDiag(
            code[f"{part}_mean"], tf.exp(0.5 * code[f"{part}_log_variance"])
        )
        try:
            return tfd.kl_divergence(posterior, prior)
        except NotImplementedError:
            return posterior.log_prob(code[part]) - prior.log_prob(code[part])


class Classification(Phase):
    """-log q(y|x) of the labelled examples of the minibatch (paper, section 5)."""

    whole_batch = True

    def __init__(self, latent: latents.Categorical, weight: float):
        super().__init__("classification", weight)
        self._latent = latent

    def networks(self, model: Model) -> tuple[keras.Model, ...]:
        return (model.encoder,)

    def loss(self, model: Model, batch: Batch, code: latents.Code) -> tf.Tensor:
        del model
        return losses.classification(batch.y, code[self._latent.logits])


class Agreement(Phase):
    """-I(y; y'), minus the mutual information of y in an example and in its view, in nats.

    Invariant information clustering (Ji et al., arXiv 1807.06653). Without it classes form by slant
    and thickness before they form by shape. The model makes the views: see
    `autoencoder.Autoencoder`.

    The joint distribution P is a moving average over steps: that of one batch has more cells than
    the batch has examples, and its mutual information is too high by about (K - 1)^2 / 2N nats, 2
    for 30 clusters and 200 examples. The gradient is that of I at P with respect to the joint
    distribution of the global batch, -log P(y, y') / (P(y) P(y')); the loss is the mean of that
    over the batch.
    """

    measured = False
    whole_batch = True

    def __init__(self, latent: latents.Categorical, weight: float):
        super().__init__("agreement", weight)
        self._latent = latent

    def build(self, model: Model) -> None:
        self._joint = model.add_state("joint", (self._latent.size, self._latent.size))

    def networks(self, model: Model) -> tuple[keras.Model, ...]:
        return (model.encoder,)

    def loss(self, model: Model, batch: Batch, code: latents.Code) -> tf.Tensor:
        del batch
        first, second = tf.split(code[self._latent.part], 2)
        count = tf.cast(tf.shape(first)[0], tf.float32)
        joint = tf.matmul(first, second, transpose_a=True) / count
        joint = tf.distribute.get_replica_context().all_reduce("MEAN", joint)
        # At first an average of all steps so far, so that it forgets the zeros that it begins with.
        rate = tf.maximum(_JOINT_RATE, 1 / tf.cast(model.step + 1, tf.float32))
        mean = tf.stop_gradient(self._joint + rate * (joint - self._joint))
        self._joint.assign(mean)
        return -tf.reduce_sum(joint * losses.pointwise_mutual_information(mean))[None]
