"""The latent variables of a code: their priors p(z), and how the encoder gives q(z|x).

A code is a dictionary of tensors [B, size], with one entry, a *part*, for each latent variable and
others that its posterior adds, like its mean.
"""

import abc
from collections.abc import Mapping

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_aae.models import priors
from keras_aae.models import seeds as seeds_lib

Code = dict[str, tf.Tensor]


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
    """

    encoded = True
    noise_size = 0

    def __init__(self, name: str, part: str, prior: tfd.Distribution):
        self.name = name
        self.part = part
        self.prior = prior
        self.size = int(prior.event_shape[0])

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


class Label(Categorical):
    """A class that is not encoded: it comes with the example, as its label."""

    encoded = False

    @property
    def encoder_outputs(self) -> dict[str, int]:
        return {}

    def code(self, outputs: Mapping[str, tf.Tensor], seeds: seeds_lib.Seeds | None) -> Code:
        del outputs, seeds
        return {}
