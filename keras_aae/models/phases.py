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

from keras_aae.models import checks
from keras_aae.models import latents as latents_lib
from keras_aae.models import losses
from keras_aae.models import networks
from keras_aae.models import observation
from keras_aae.models import seeds as seeds_lib

_SURE = 0.95  # The least probability of a pseudo-label.
_JOINT_RATE = 0.1  # Of the moving average of the joint distribution of two views.


class Batch(NamedTuple):
    """One replica's minibatch.

    The first `count` rows are a plain sample of the training data. Those after them are not: they
    are examples that were drawn because they have labels, and random views of all rows before. A
    loss that models the distribution of the data (reconstruction, adversaries) has to use the first
    `count` rows alone.

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

    def plain_code(self, code: latents_lib.Code) -> latents_lib.Code:
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
    latents: tuple[latents_lib.Latent, ...]
    seed: int
    average: float
    step: keras.Variable

    def training_code(self, batch: Batch) -> latents_lib.Code:
        """The code of a batch."""

    def label_code(self, labels: tf.Tensor | None) -> latents_lib.Code:
        """The parts of the code that a label gives."""

    def decoder_output(self, code: latents_lib.Code, training: bool) -> tf.Tensor:
        """The decoder's output for a code."""

    def add_state(self, name: str, shape: tuple[int, ...]) -> keras.Variable:
        """A variable for what a phase keeps from step to step."""


class Phase(abc.ABC):
    """A loss that a minibatch is trained on.

    Args:
        name: What it is logged as. Phases of one name are logged as their sum, and are one step of
            a sequential update.
        weight: The weight of the loss; what is logged is without it.

    Raises:
        ValueError: the weight is negative, infinite or NaN.

    Attributes:
        adversarial: Whether the adversarial optimizer trains it in sequential updates.
        measured: Whether it has a value on held-out examples, too.
        whole_batch: Whether it sees all rows of a batch; else those of `Batch.plain` alone.
    """

    adversarial = False
    measured = True
    whole_batch = False

    def __init__(self, name: str, weight: float = 1.0):
        checks.not_negative(**{f"weight of {name}": weight})
        self.name = name
        self.weight = weight

    def build(self, model: Model) -> None:  # noqa: B027
        """Makes the networks of the phase's own, where it has any; the model has its by then.

        Raises:
            ValueError: the model lacks what the phase needs.
        """

    @abc.abstractmethod
    def networks(self, model: Model) -> tuple[keras.Model, ...]:
        """The networks that it trains.

        In a joint update all phases that train the encoder or the decoder are one optimizer step,
        and their sum trains the networks of all of them: `tf.stop_gradient` keeps a loss from one.
        The other phases are the step of the discriminators and of their optimizer.
        """

    @abc.abstractmethod
    def loss(self, model: Model, batch: Batch, code: latents_lib.Code) -> tf.Tensor:
        """The loss of each example, [B], or one of the whole batch, [1].

        Args:
            model: The model.
            batch: The rows that it sees of the minibatch.
            code: Their code.
        """

    def count(self, batch: Batch) -> tf.Tensor:
        """How many rows the loss is a mean over, int32 scalar.

        Args:
            batch: The rows that it sees.
        """
        return tf.shape(batch.y)[0]


class EncoderPhase(Phase):
    """A phase that trains the encoder for the sake of one latent variable.

    Args:
        name: As in `Phase`.
        latent: The latent variable.
        weight: As in `Phase`.
    """

    def __init__(self, name: str, latent: latents_lib.Latent, weight: float):
        super().__init__(name, weight)
        self.latent = latent

    def networks(self, model: Model) -> tuple[keras.Model, ...]:
        return (model.encoder,)


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

    def loss(self, model: Model, batch: Batch, code: latents_lib.Code) -> tf.Tensor:
        whole = code | model.label_code(batch.y)
        return model.observation.loss(batch.x, model.decoder_output(whole, batch.training))


class Divergence(EncoderPhase):
    """KL(q(z|x) || p(z)) in nats: exact for a Gaussian prior, else from the drawn code.

    Its weight is divided by the number of pixels, since the reconstruction loss is a mean over
    them: together they are the evidence lower bound of Kingma and Welling, arXiv 1312.6114.

    Args:
        latent: The latent variable, with a Gaussian posterior.
        weight: That of the reconstruction.
    """

    def __init__(self, latent: latents_lib.Latent, weight: float):
        super().__init__("divergence", latent, weight)

    def build(self, model: Model) -> None:
        self.weight /= math.prod(model.example_shape)

    def loss(self, model: Model, batch: Batch, code: latents_lib.Code) -> tf.Tensor:
        del model, batch
        part, prior = self.latent.part, self.latent.prior
        posterior = tfd.MultivariateNormalDiag(
            code[f"{part}_mean"], tf.exp(0.5 * code[f"{part}_log_variance"])
        )
        try:
            return tfd.kl_divergence(posterior, prior)
        except NotImplementedError:
            return posterior.log_prob(code[part]) - prior.log_prob(code[part])


class Classification(EncoderPhase):
    """-log q(y|x) of the labelled examples of the minibatch (paper, section 5)."""

    latent: latents_lib.Categorical
    whole_batch = True

    def __init__(self, latent: latents_lib.Categorical, weight: float):
        super().__init__("classification", latent, weight)

    def loss(self, model: Model, batch: Batch, code: latents_lib.Code) -> tf.Tensor:
        del model
        return losses.classification(batch.y, code[self.latent.logits])

    def count(self, batch: Batch) -> tf.Tensor:
        return tf.math.count_nonzero(batch.y >= 0, dtype=tf.int32)


class PseudoLabels(EncoderPhase):
    """-log q(y'|view) of the class that the averaged encoder is sure of in the example itself.

    It is sure of a class with a probability above 0.95; the loss is a mean over all examples of the
    minibatch (FixMatch, Sohn et al., arXiv 2001.07685).
    """

    latent: latents_lib.Categorical
    measured = False
    whole_batch = True

    def __init__(self, latent: latents_lib.Categorical, weight: float):
        super().__init__("pseudo_labels", latent, weight)

    def loss(self, model: Model, batch: Batch, code: latents_lib.Code) -> tf.Tensor:
        examples, _ = tf.split(batch.x, 2)
        _, logits = tf.split(code[self.latent.logits], 2)
        seeds = batch.seeds.within("pseudo-labels")
        seen = model.training_code(batch._replace(x=examples, seeds=seeds, training=False))
        probabilities = tf.stop_gradient(seen[self.latent.part])
        labels = tf.argmax(probabilities, axis=-1)
        cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return tf.where(tf.reduce_max(probabilities, axis=-1) > _SURE, cross_entropy, 0.0)


class ClassConsistency(Phase):
    """-log q(y|x) of the averaged encoder, for examples decoded from samples of the prior.

    It trains the decoder to show the class or cluster that it is asked for. The reconstruction does
    not where the class can be read from the style of real examples, too, as in colour. The loss is
    that of InfoGAN (Chen et al., arXiv 1606.03657), for a classifier that is not trained by it: the
    model needs averaged weights, or a joint update would train the encoder, too.

    Args:
        latent: The discrete latent variable.
        weight: As in `Phase`.
    """

    measured = False

    def __init__(self, latent: latents_lib.Categorical, weight: float):
        super().__init__("consistency", weight)
        self.latent = latent

    def build(self, model: Model) -> None:
        if not model.average:
            raise ValueError(
                "Expected averaged weights, with which the consistency reads examples. "
                f"Received: average={model.average}, a consistency of weight {self.weight}"
            )

    def networks(self, model: Model) -> tuple[keras.Model, ...]:
        return (model.decoder,)

    def loss(self, model: Model, batch: Batch, code: latents_lib.Code) -> tf.Tensor:
        del code
        seeds, count = batch.seeds.within("consistency"), tf.shape(batch.x)[0]
        drawn = {
            each.part: each.sample(count, seeds(f"{each.name} prior")) for each in model.latents
        }
        x = model.observation.reread(model.decoder_output(drawn, batch.training))
        read = model.training_code(batch._replace(x=x, seeds=seeds, training=False))
        return tf.nn.softmax_cross_entropy_with_logits(
            labels=drawn[self.latent.part], logits=read[self.latent.logits]
        )


class Agreement(EncoderPhase):
    """-I(y; y'), minus the mutual information of y in an example and in its view, in nats.

    Invariant information clustering (Ji et al., arXiv 1807.06653). Without it classes form by slant
    and thickness before they form by shape. The model makes the views: see
    `autoencoder.Autoencoder`.

    The joint distribution P is a moving average over steps: that of one batch has more cells than
    the batch has examples, and its mutual information is too high by about (K - 1)^2 / 2N nats, 2
    for 30 clusters and 200 examples. The gradient is that of I at P with respect to the joint
    distribution of the global batch, -log P(y, y') / (P(y) P(y')); the loss is the mean of that
    over the batch.

    I holds classes to equal shares. Those of a prior that is learned are others: the mean of
    log(p(y) / (1 / K)) is added to I, which so holds them to p(y), by KL(P(y) || p(y)).
    """

    latent: latents_lib.Categorical
    measured = False
    whole_batch = True

    def __init__(self, latent: latents_lib.Categorical, weight: float):
        super().__init__("agreement", latent, weight)

    def build(self, model: Model) -> None:
        self._joint = model.add_state("joint", (self.latent.size, self.latent.size))

    def loss(self, model: Model, batch: Batch, code: latents_lib.Code) -> tf.Tensor:
        del batch
        first, second = tf.split(code[self.latent.part], 2)
        count = tf.cast(tf.shape(first)[0], tf.float32)
        joint = tf.matmul(first, second, transpose_a=True) / count
        joint = tf.distribute.get_replica_context().all_reduce("MEAN", joint)
        # At first an average of all steps so far, so that it forgets the zeros that it begins with.
        rate = tf.maximum(_JOINT_RATE, 1 / tf.cast(model.step + 1, tf.float32))
        mean = tf.stop_gradient(self._joint + rate * (joint - self._joint))
        self._joint.assign(mean)
        ratios = self.latent.log_ratios()
        gain = losses.pointwise_mutual_information(mean) + (ratios + ratios[:, None]) / 2
        return -tf.reduce_sum(joint * gain)[None]
