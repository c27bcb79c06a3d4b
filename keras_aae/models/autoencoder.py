"""An autoencoder's networks and its code: raw examples in, codes and examples out."""

from collections.abc import Callable
from collections.abc import Mapping
import random
from typing import NamedTuple

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from keras_aae import streams
from keras_aae.models import networks
from keras_aae.models import observation as observation_lib
from keras_aae.models import seeds as seeds_lib

tfd = tfp.distributions

Code = dict[str, tf.Tensor]
POSTERIORS = ("deterministic", "gaussian", "universal")


class Signature(NamedTuple):
    """A function of the exported model.

    Attributes:
        function: Takes a tensor for each of the inputs; returns named tensors.
        inputs: The inputs' names, shapes and dtypes; the first axis is the batch.
    """

    function: Callable[..., dict[str, tf.Tensor]]
    inputs: list[tf.TensorSpec]


class Autoencoder(keras.Model):
    """x -> code -> x; `base.PhasedAutoencoder` trains it.

    Variants state the priors of the parts of the code, and how the encoder's outputs become a code.
    Inference uses a moving average of the weights.

    Args:
        input_shape: The shape of one example: (height, width, channels) or (features,).
        priors: The prior of each part of the code by name, a TFP distribution of event shape
            [size]; `style` is always among them.
        posterior: How the style comes from an example, q(z|x) (paper, section 2): `deterministic`;
            `gaussian`, whose mean and variance the encoder gives; or `universal`, where the encoder
            also receives noise.
        network: `mlp`, `conv` or a `networks.Family`.
        observation: How raw data enters the graph. Default: uint8 images.
        average: Decay of the moving average of the weights that inference uses; 0 for the weights
            themselves.
        seed: Draws the initial weights and all noise. Default: drawn from Keras's own, see
            `keras.utils.set_random_seed`.

    Raises:
        ValueError: an argument is out of its range.

    Attributes:
        tells: What `classify` tells of an example: `class`, `cluster`, or None for neither.
    """

    tells: str | None = None

    def __init__(
        self,
        input_shape: tuple[int, ...],
        priors: Mapping[str, tfd.Distribution],
        *,
        posterior: str = "deterministic",
        network: str | networks.Family = "conv",
        observation: observation_lib.Observation | None = None,
        average: float = 0.995,
        seed: int | None = None,
    ):
        super().__init__()
        if not 0 <= average < 1:
            raise ValueError(f"Expected 0 <= average < 1. Received: average={average}")
        if posterior not in POSTERIORS:
            raise ValueError(
                f"Expected posterior to be one of {POSTERIORS}. Received: posterior={posterior!r}"
            )
        self.observation = observation or observation_lib.Pixels()
        self.example_shape = tuple(input_shape)
        self.priors = dict(priors)
        self.parts = {name: prior.event_shape[0] for name, prior in priors.items()}
        self.posterior = posterior
        self.family = networks.get(network, self.example_shape)
        self.seed = random.randrange(2**31) if seed is None else seed
        with streams.initial_weights(self.seed, "encoder weights"):
            self.encoder = self.family.encoder(self._encoder_shape, self.heads)
        with streams.initial_weights(self.seed, "decoder weights"):
            self.decoder = self.build_decoder()
        self.average = average
        with streams.initial_weights(self.seed, "copies"):
            self.averaged_encoder = _copy(self.encoder) if average else self.encoder
            self.averaged_decoder = _copy(self.decoder) if average else self.decoder

    @property
    def category(self) -> str | None:
        """What the code has a categorical part for: `class`, `cluster`, or None without one."""
        names = (name for name in ("class", "cluster") if f"{name}_probabilities" in self.parts)
        return next(names, None)

    @property
    def inferred(self) -> tuple[str, ...]:
        """The parts of the code that the encoder gives; the others are conditions, given with x."""
        return tuple(self.parts)

    @property
    def heads(self) -> dict[str, int]:
        """The size of each raw output of the encoder, by name."""
        heads = {name: self.parts[name] for name in self.inferred}
        if self.posterior == "gaussian":
            heads["style_log_variance"] = self.parts["style"]
        return heads

    def build_decoder(self) -> keras.Model:
        """The network from `join`'s result to the output that `observation` reads."""
        return self.family.decoder(sum(self.parts.values()), self.example_shape)

    def condition(self, labels: tf.Tensor) -> Code:
        """The parts of the code that are given with an example; none, unless a variant says so.

        Args:
            labels: Integer [B], -1 where unknown.
        """
        del labels
        return {}

    def to_code(
        self, outputs: Mapping[str, tf.Tensor], seeds: seeds_lib.Seeds | None = None
    ) -> Code:
        """The code that the encoder's raw outputs stand for, and whatever else phases need.

        Args:
            outputs: A tensor for each of `heads`.
            seeds: Draw the style from a Gaussian q(z|x) with these; else it is the mean.
        """
        code = dict(outputs)
        if self.posterior == "gaussian":
            code["style_mean"] = code["style"]
            if seeds:
                stddev = tf.exp(0.5 * code["style_log_variance"])
                code["style"] += stddev * seeds.normal(tf.shape(stddev), "style posterior")
        return code

    def join(self, code: Code) -> tf.Tensor:
        """The decoder's input for a code: its parts side by side, [B, size]."""
        return tf.concat([code[name] for name in self.parts], axis=-1)

    def encode(self, x: tf.Tensor, seeds: seeds_lib.Seeds | None = None) -> Code:
        """The code of raw examples.

        Args:
            x: uint8 images [B, H, W, C], or float features [B, D].
            seeds: Draw the code from q(z|x) with these. Default: the centre of q(z|x).

        Returns:
            float32 [B, size] for each part of the code that is `inferred`.
        """
        x = self.observation.normalize(x)
        code = self._encode(self.averaged_encoder, x, seeds, training=False)
        return {name: code[name] for name in self.inferred}

    def decode(self, code: Code) -> tf.Tensor:
        """The expected examples for all parts of a code.

        Args:
            code: float32 [B, size] for each part.

        Returns:
            Images float32 [B, H, W, C] in [0, 1], or features [B, D].
        """
        output = self.averaged_decoder(self.join(code), training=False)
        return self.observation.mean(output)

    def probabilities(self, code: Code) -> tf.Tensor:
        """The probability of each class, or cluster, for an encoded example, [B, classes]."""
        raise NotImplementedError

    def classify(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """The class of raw examples, or their cluster, for models that tell it; see `tells`.

        Args:
            x: uint8 images [B, H, W, C], or float features [B, D].

        Returns:
            {"class": int32 [B], "class_probabilities": float32 [B, classes]}, or the same of
            `cluster` and `cluster_probabilities`; and the code, as `encode` gives it.
        """
        code = self.encode(x)
        probabilities = self.probabilities(code)
        return code | {
            self.tells: tf.argmax(probabilities, axis=-1, output_type=tf.int32),
            f"{self.tells}_probabilities": probabilities,
        }

    @property
    def example_spec(self) -> tf.TensorSpec:
        """The spec of a batch of raw examples."""
        return tf.TensorSpec(
            (None, *self.example_shape), self.observation.dtype, name=self.observation.name
        )

    def signatures(self) -> dict[str, Signature]:
        """What an export offers; what takes uint8 images is there for floats in [0, 1] as well."""
        signatures = self._signatures(self.example_spec)
        if self.example_spec.dtype == tf.float32:
            return signatures
        spec = tf.TensorSpec(self.example_spec.shape, tf.float32, name=self.example_spec.name)
        floats = {
            f"{name}_float": signature
            for name, signature in self._signatures(spec).items()
            if spec in signature.inputs
        }
        return signatures | floats

    @property
    def default_signature(self) -> str:
        """The signature that says most of an example: `classify`, `cluster` or `encode`."""
        return {"class": "classify", "cluster": "cluster", None: "encode"}[self.tells]

    def _signatures(self, example):
        """The signatures that take examples of that spec."""
        name = self.observation.name
        seed = tf.TensorSpec([None], tf.int64, name="seed")
        label = tf.TensorSpec([None], tf.int32, name="label")
        cluster = tf.TensorSpec([None], tf.int32, name="cluster")
        category = {None: [], "class": [label], "cluster": [cluster]}[self.category]
        parts = [
            tf.TensorSpec((None, size), tf.float32, name=part) for part, size in self.parts.items()
        ]
        signatures = {
            "encode": Signature(lambda x: self.encode(x), [example]),
            "decode": Signature(
                lambda *code: {name: self.decode(dict(zip(self.parts, code, strict=True)))}, parts
            ),
            "reconstruct": Signature(
                lambda *inputs: {name: self(*inputs)},
                [example, *([label] if len(self.inferred) < len(self.parts) else [])],
            ),
            "generate": Signature(
                lambda *inputs: {name: self.generate(*inputs)}, [seed, *category]
            ),
        }
        if category:
            signatures["transfer"] = Signature(
                lambda *inputs: {name: self.transfer(*inputs)}, [example, *category]
            )
        if self.tells:
            signatures[self.default_signature] = Signature(self.classify, [example])
        return signatures

    @tf.function(reduce_retracing=True)
    def sample_prior(self, seeds: tf.Tensor) -> Code:
        """One draw from the prior for each row of seeds.

        Args:
            seeds: Integer [B]; equal seeds give equal draws.

        Returns:
            float32 [B, size] for each part of the code.
        """

        def draw(seed):
            pair = tf.stack([tf.cast(seed, tf.int64), tf.zeros((), tf.int64)])
            return {
                name: prior.sample(
                    seed=tf.random.fold_in(
                        pair, streams.name_hash(f"{name.removesuffix('_probabilities')} prior")
                    )
                )
                for name, prior in self.priors.items()
            }

        signature = {name: tf.TensorSpec([size], tf.float32) for name, size in self.parts.items()}
        return tf.map_fn(draw, seeds, fn_output_signature=signature)

    def transfer(self, x: tf.Tensor, categories: tf.Tensor) -> tf.Tensor:
        """Other classes, or clusters, in the style of raw examples.

        Args:
            x: uint8 images [B, H, W, C], or float features [B, D].
            categories: The class or cluster of each result, integer [B].

        Returns:
            Images float32 [B, H, W, C] in [0, 1], or features [B, D].
        """
        return self.decode(self.encode(x) | self._chosen(categories))

    def _chosen(self, categories):
        """The categorical part of a code that stands for integer categories [B]."""
        part = f"{self.category}_probabilities"
        return {part: tf.one_hot(categories, self.parts[part])}

    def generate(self, seeds: tf.Tensor, categories: tf.Tensor | None = None) -> tf.Tensor:
        """The example decoded from a draw of the prior, for each of the seeds.

        Args:
            seeds: Integer [B]; equal seeds give equal draws.
            categories: The class, or cluster, of each example, integer [B], for models whose code
                has one. Default: drawn from the prior.

        Returns:
            Images float32 [B, H, W, C] in [0, 1], or features [B, D].
        """
        code = self.sample_prior(seeds)
        if categories is not None:
            code |= self._chosen(categories)
        return self.decode(code)

    def call(self, x, labels=None, training=False):
        """The reconstruction of raw examples; see `encode` and `decode`.

        Args:
            x: uint8 images [B, H, W, C], or float features [B, D].
            labels: Integer [B], for models that are conditioned on the class.
            training: Left aside; training goes through `train_step`.
        """
        del training
        return self.decode(self.encode(x) | self.condition(labels))

    def _encode(self, encoder, x, seeds, training):
        """The code of normalised examples: drawn from q(z|x) with seeds, else its centre."""
        if self.posterior == "universal":
            shape = tf.concat([tf.shape(x)[:-1], [self._noise_channels]], axis=0)
            x = tf.concat(
                [x, seeds.normal(shape, "style posterior") if seeds else tf.zeros(shape)], axis=-1
            )
        return self.to_code(encoder(x, training=training), seeds)

    @property
    def _noise_channels(self):
        """The channels, or features, of noise that the encoder of a universal posterior takes."""
        return 1 if len(self.example_shape) == 3 else self.example_shape[-1]

    @property
    def _encoder_shape(self):
        if self.posterior != "universal":
            return self.example_shape
        return (*self.example_shape[:-1], self.example_shape[-1] + self._noise_channels)


def _copy(network):
    """A network of its own with the same weights, for a moving average."""
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    copy.trainable = False
    return copy
