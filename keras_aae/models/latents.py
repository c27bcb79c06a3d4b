"""The latent variables of a code: their priors p(z), and how the encoder gives q(z|x).

A code is a dictionary of tensors [B, size], with one entry, a *part*, for each latent variable and
others that its posterior adds, like its mean.
"""

import abc
from collections.abc import Mapping
from typing import Protocol

import keras
import tensorflow as tf
import tensorflow_probability as tfp
from tensorflow_probability import distributions as tfd

from keras_aae.models import defaults
from keras_aae.models import priors
from keras_aae.models import seeds as seeds_lib

Code = dict[str, tf.Tensor]

_RATE = 0.01  # Of the moving average that a learned prior is.
_LEAST = 0.1  # Of an equal share, that each value has in it.


class Model(Protocol):
    """What latent variables see of a model: a part of `trainer.Trainer`, where it is described."""

    def add_state(self, name: str, shape: tuple[int, ...]) -> keras.Variable:
        """A variable for what is kept from step to step, zeros at first."""


class Posterior:
    """How a code comes from an example, q(z|x): here a function of it (paper, section 2)."""

    name = "deterministic"

    def encoder_outputs(self, part: str, size: int) -> dict[str, int]:
        """The outputs that the encoder needs for a part of the code: their names and sizes."""
        return {part: size}

    def noise_size(self, size: int) -> int:
        """How many values of noise the encoder receives beside an example; 0 for none."""
        del size
        return 0

    def code(
        self, part: str, outputs: Mapping[str, tf.Tensor], seeds: seeds_lib.Seeds | None
    ) -> Code:
        """The part of the code that the encoder's outputs stand for, and what phases need beside.

        Args:
            part: The name of the part.
            outputs: float32 [B, size] for each of `encoder_outputs`.
            seeds: For a draw from q(z|x); None for its centre.
        """
        del seeds
        return {part: outputs[part]}


class Gaussian(Posterior):
    """N(mean, diag(exp(log_variance))), reparametrised (paper, section 2)."""

    name = "gaussian"

    def encoder_outputs(self, part: str, size: int) -> dict[str, int]:
        return {part: size, f"{part}_log_variance": size}

    def code(
        self, part: str, outputs: Mapping[str, tf.Tensor], seeds: seeds_lib.Seeds | None
    ) -> Code:
        """As in the base, and `<part>_mean` and `<part>_log_variance`, [B, size]."""
        mean, log_variance = outputs[part], outputs[f"{part}_log_variance"]
        drawn = mean
        if seeds:
            stddev = tf.exp(0.5 * log_variance)
            drawn = mean + stddev * seeds.normal(tf.shape(stddev), f"{part} posterior")
        return {part: drawn, f"{part}_log_variance": log_variance, f"{part}_mean": mean}


class Universal(Posterior):
    """The encoder also receives Gaussian noise, so that q(z|x) takes any shape (section 2)."""

    name = "universal"

    def noise_size(self, size: int) -> int:
        return size


_POSTERIORS = {posterior.name: posterior for posterior in (Posterior, Gaussian, Universal)}


class Latent(abc.ABC):
    """A latent variable: a part of the code with its prior and its posterior.

    Attributes:
        name: `style`, `class` or `cluster`.
        part: The name of its part of the code.
        prior: A TFP distribution of event shape [size].
        size: The number of values.
        encoded: Whether the encoder gives it; else the label does.
        noise_size: How many values of noise the encoder receives beside an example for it.
        variables: Those of a prior that is learned.
    """

    encoded = True
    noise_size = 0
    variables: tuple[keras.Variable, ...] = ()

    def __init__(self, name: str, part: str, prior: tfd.Distribution):
        self.name = name
        self.part = part
        self.prior = prior
        self.size = int(prior.event_shape[0])

    def build(self, model: Model) -> None:  # noqa: B027
        """Makes the variables of a prior that is learned."""

    def learn_prior(self, values: tf.Tensor) -> None:  # noqa: B027
        """Moves a prior that is learned by its part of a training batch's code, [B, size]."""

    def sample(self, count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Samples of the prior for an adversary, float32 [count, size]."""
        return self.prior.sample(count, seed=seed)

    @property
    @abc.abstractmethod
    def encoder_outputs(self) -> dict[str, int]:
        """The outputs that the encoder needs for it: their names and sizes."""

    @abc.abstractmethod
    def code(self, outputs: Mapping[str, tf.Tensor], seeds: seeds_lib.Seeds | None) -> Code:
        """Its part of the code, and what phases need beside; see `Posterior.code`."""


class Style(Latent):
    """The continuous latent variable z.

    Args:
        size: Its dimensions.
        prior: A name for `priors.get`, or a TFP distribution.
        posterior: One of `defaults.POSTERIORS`.

    Raises:
        ValueError: there is no such prior or posterior, or not in so many dimensions.
    """

    def __init__(self, size: int, prior: str | tfd.Distribution, posterior: str):
        if posterior not in _POSTERIORS:
            raise ValueError(
                f"Expected posterior to be one of {sorted(_POSTERIORS)}. "
                f"Received: posterior={posterior!r}"
            )
        super().__init__("style", "style", priors.get(prior, size))
        self._posterior = _POSTERIORS[posterior]()
        self.noise_size = self._posterior.noise_size(size)

    @property
    def encoder_outputs(self) -> dict[str, int]:
        return self._posterior.encoder_outputs(self.part, self.size)

    def code(self, outputs: Mapping[str, tf.Tensor], seeds: seeds_lib.Seeds | None) -> Code:
        return self._posterior.code(self.part, outputs, seeds)


class Categorical(Latent):
    """The discrete latent variable y; its part of the code are the probabilities q(y|x).

    Args:
        name: What its values are: `class` or `cluster`.
        size: How many there are.

    Raises:
        ValueError: there are fewer than two.
    """

    def __init__(self, name: str, size: int):
        super().__init__(name, f"{name}_probabilities", priors.categorical(size))

    def sample(self, count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """One-hot samples, [count, size], with each value as often as any other or once more.

        That steadies the adversary (taranO/IB-semi-supervised-classification, Entropy 22:943).
        """
        first = tf.random.stateless_uniform([], seed, maxval=self.size, dtype=tf.int32)
        return tf.one_hot((first + tf.range(count)) % self.size, self.size)

    @property
    def logits(self) -> str:
        """The name of its encoder output, the logits of q(y|x)."""
        return f"{self.name}_logits"

    def log_ratios(self) -> tf.Tensor:
        """log(p(y) / (1 / size)), how far each value's share is from an equal one, [size]."""
        return tf.zeros(self.size)

    @property
    def encoder_outputs(self) -> dict[str, int]:
        return {self.logits: self.size}

    def code(self, outputs: Mapping[str, tf.Tensor], seeds: seeds_lib.Seeds | None) -> Code:
        """q(y|x), the softmax of its logits, and the logits, [B, size]."""
        del seeds
        logits = outputs[self.logits]
        return {self.part: tf.nn.softmax(logits), self.logits: logits}

    def one_hot(self, values: tf.Tensor) -> Code:
        """The part of the code that stands for given values.

        Args:
            values: Integer [B]; -1, or any other out of range, gives zeros.
        """
        return {self.part: tf.one_hot(values, self.size)}


class LearnedCategorical(Categorical):
    """A discrete latent variable whose prior p(y) follows the mean of q(y|x).

    Few data have as many examples of each class. The prior begins with equal shares and is a moving
    average over steps, of the global batch; no share falls much below a tenth of an equal one, so
    that none is lost for good. Labels have to hold it: of 16 clusters without any, 4 took all of
    MNIST. Not from the paper.

    Attributes:
        variables: What the model keeps of it: each share less an equal one, [size].
    """

    def build(self, model: Model) -> None:
        self._excess = model.add_state(f"{self.name}_shares", (self.size,))
        self.variables = (self._excess,)
        shares = tfp.util.DeferredTensor(self._excess.value, self._shares)
        self.prior = tfd.OneHotCategorical(probs=shares, dtype=tf.float32)

    def _shares(self, excess: tf.Tensor) -> tf.Tensor:
        """p(y), [size], from what the moving average has above equal shares."""
        shares = tf.maximum(1 + self.size * excess, _LEAST)
        return shares / tf.reduce_sum(shares)

    @property
    def shares(self) -> tf.Tensor:
        """p(y), float32 [size]."""
        return self._shares(tf.convert_to_tensor(self._excess))

    def learn_prior(self, values: tf.Tensor) -> None:
        mean = tf.reduce_mean(tf.stop_gradient(values), axis=0)
        mean = tf.distribute.get_replica_context().all_reduce("MEAN", mean)
        self._excess.assign_add(_RATE * (mean - 1 / self.size - self._excess))

    def log_ratios(self) -> tf.Tensor:
        return tf.math.log(self.size * self.shares)

    def sample(self, count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """One-hot samples, [count, size], with each value as often as its share to within one."""
        first = tf.random.stateless_uniform([], seed)
        places = (first + tf.cast(tf.range(count), tf.float32)) / tf.cast(count, tf.float32)
        upper = tf.cumsum(self.shares)[:-1]
        return tf.one_hot(tf.searchsorted(upper, places, side="right"), self.size)


class Label(Categorical):
    """A class that is not encoded: it comes with the example, as its label."""

    encoded = False

    @property
    def encoder_outputs(self) -> dict[str, int]:
        return {}

    def code(self, outputs: Mapping[str, tf.Tensor], seeds: seeds_lib.Seeds | None) -> Code:
        del outputs, seeds
        return {}


def classes(count: int, prior: str) -> Categorical:
    """The class as a latent variable of an encoder, with that prior.

    Args:
        count: How many classes there are.
        prior: One of `defaults.CLASS_PRIORS`.

    Raises:
        ValueError: there is no such prior, or fewer than two classes.
    """
    kinds = dict(zip(defaults.CLASS_PRIORS, (Categorical, LearnedCategorical), strict=True))
    if prior not in kinds:
        raise ValueError(
            f"Expected class_prior to be one of {tuple(kinds)}. Received: class_prior={prior!r}"
        )
    return kinds[prior]("class", count)
