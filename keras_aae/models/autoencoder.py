"""An autoencoder: its networks, its latent variables, and what one asks it once it is trained."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import os
import random
from typing import Any

import keras
from keras.src.backend.common import global_state
import numpy as np
import tensorflow as tf

from keras_aae import streams
from keras_aae.data import augmentation
from keras_aae.models import batches
from keras_aae.models import checks
from keras_aae.models import defaults
from keras_aae.models import labels as labels_lib
from keras_aae.models import latents as latents_lib
from keras_aae.models import networks
from keras_aae.models import observation as observation_lib
from keras_aae.models import phases as phases_lib
from keras_aae.models import saving
from keras_aae.models import seeds as seeds_lib
from keras_aae.models import trainer

_SEEDS = 2**31  # How many there are.
_NAME_COUNTS = "object_name_uids"  # Where Keras keeps how many objects have a name.


class Autoencoder(trainer.Trainer):
    """x -> code -> x, with latent variables and phases of training that a variant states.

    Inference uses a moving average of the weights: `averaged_encoder` and `averaged_decoder`, which
    `encode`, `decode`, `evaluate` and exports go through. `encoder` and `decoder` are what is
    trained; weights that are set on them by hand reach inference with `copy_to_average`.

    Args:
        input_shape: The shape of one example: (height, width, channels) or (features,).
        latents: The latent variables, in the order of the decoder's input; one is the style.
        phases: The phases of a step, in the paper's order.
        extra_phases: More of them, a user's own.
        representation: Makes a layer that maps the parts of a code side by side, [B, sum of sizes],
            to the decoder's input; called once for each copy of the decoder. Default: there is no
            such layer.
        views: A function that changes examples at random and keeps their class: it takes normalised
            examples, float32 [B, ...], and a seed, int32 [2], and gives as many. Each step then has
            2 B rows, the examples and a view of each; only phases with `whole_batch` see the views.
            Default: the examples alone.
        network: The name of a family of networks, or a `networks.Family`.
        observation: How raw data is normalised, and its reconstruction loss. Default: by shape,
            `observation.Pixels`, or `observation.Features` that does not standardise; for features
            pass `observation.of(x_train)`, which does.
        update_rule: `joint` or `sequential`; see `updates`.
        input_noise: Standard deviation of Gaussian noise on the encoder's input, in training only.
            2-D codes that match their prior with the noise have a smaller spread without it.
        average: Decay of the moving average of the weights; 0 for the weights themselves.
        class_names: The name of each class of the data, for those who read the answers.
        seed: From 0 to 2**31 - 1; draws the initial weights and all noise. Default: drawn from
            Python's generator, which `keras.utils.set_random_seed` seeds.
        **kwargs: As `keras.Model`: `name`, and `dtype`, a policy whose variables are float32.

    Raises:
        ValueError: an argument is out of its range.

    Attributes:
        prediction: What `classify` predicts: `class`, `cluster`, or None for neither.
        latents: The latent variables.
        priors: The prior of each part of the code, by the part's name: `style`, and
            `class_probabilities` or `cluster_probabilities`.
        parts: The size of each part of the code, by the same names.
        discriminators: The discriminator of each latent variable that has one, by the variable's
            name: `style`, `class` or `cluster`.
    """

    prediction: str | None = None

    def __new__(cls, *args: Any, **kwargs: Any) -> "Autoencoder":
        made = super().__new__(cls, *args, **kwargs)
        object.__setattr__(made, "_arguments", saving.arguments(cls, args, kwargs))
        return made

    def __init__(
        self,
        input_shape: tuple[int, ...],
        latents: Sequence[latents_lib.Latent],
        phases: Sequence[phases_lib.Phase],
        *,
        extra_phases: Sequence[phases_lib.Phase] = (),
        representation: Callable[[], keras.layers.Layer] | None = None,
        views: augmentation.Views | None = None,
        network: str | networks.Family = defaults.NETWORK,
        observation: observation_lib.Observation | None = None,
        update_rule: str = defaults.UPDATE_RULE,
        input_noise: float = defaults.INPUT_NOISE,
        average: float = defaults.AVERAGE,
        class_names: Sequence[str] = (),
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        _check(self.dtype_policy, average, views)
        self.example_shape = _checked_shape(input_shape)
        self.observation = observation or observation_lib.of_shape(self.example_shape)
        self.latents = tuple(latents)
        for latent in self.latents:
            latent.build(self)
        self.parts = {latent.part: latent.size for latent in latents}
        self.priors = {latent.part: latent.prior for latent in latents}
        self.views = views
        checks.not_negative(input_noise=input_noise)
        self.input_noise = input_noise
        self.class_names = _checked_names(class_names, self.num_classes)
        self.family = networks.get(network, self.example_shape)
        self.seed = random.randrange(_SEEDS) if seed is None else seed
        if self.seed >= _SEEDS:
            raise ValueError(f"Expected a seed below 2**31. Received: seed={self.seed}")
        self.discriminators: dict[str, keras.Model] = {}
        with _layers_of(self.dtype_policy):
            self._build_networks(representation, average)
            self._start((*phases, *extra_phases), update_rule, average)
        self._encode_batch, self._decode_batch = (
            tf.function(batches.never_empty(each), autograph=False, reduce_retracing=True)
            for each in (self._encode, self._decode)
        )
        self.built = True

    def _build_networks(
        self, representation: Callable[[], keras.layers.Layer] | None, average: float
    ) -> None:
        """Makes encoder and decoder, and a second of each for the averaged weights."""
        outputs: dict[str, int] = {}
        for latent in self.latents:
            outputs |= latent.encoder_outputs

        def encoder() -> keras.Model:
            made = self.family.encoder(self.example_shape, outputs, self._noise_size)
            noise = [(self._noise_size,)] if self._noise_size else []
            return networks.built(made, self.example_shape, *noise)

        def decoder() -> keras.Model:
            return _decoder(self.family, self.parts, self.example_shape, representation)

        with streams.initial_weights(self.seed, "encoder weights"):
            self.encoder = encoder()
        with streams.initial_weights(self.seed, "decoder weights"):
            self.decoder = decoder()
        with streams.initial_weights(self.seed, "copies"):
            self.averaged_encoder = encoder() if average else self.encoder
            self.averaged_decoder = decoder() if average else self.decoder
        if average:
            self.averaged_encoder.trainable = self.averaged_decoder.trainable = False
            self.copy_to_average()

    def copy_to_average(self) -> None:
        """Sets the averaged weights, which inference uses, to those of `encoder` and `decoder`."""
        networks.copy_weights(self.encoder, self.averaged_encoder)
        networks.copy_weights(self.decoder, self.averaged_decoder)

    # Saving

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor and what else `saving` keeps, for Keras to save.

        Raises:
            ValueError: the prior is a distribution without a registered name, or a function is not
                registered with Keras.
        """
        return saving.config(self, self._arguments)

    def save(self, filepath: str | os.PathLike, *args: Any, **kwargs: Any) -> None:
        """As in Keras; a model that can't be saved leaves the file that is there as it is.

        Raises:
            ValueError: as for `get_config`, or the file is one of HDF5.
        """
        self.get_config()
        if str(filepath).endswith((".h5", ".hdf5")):
            raise ValueError(f"Expected a name that ends in .keras. Received: {filepath}")
        super().save(filepath, *args, **kwargs)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Autoencoder":
        """A new model with what `get_config` gave."""
        return saving.made(cls, config, custom_objects)

    # The parts of a code

    @property
    def categorical(self) -> latents_lib.Categorical | None:
        """The discrete latent variable, or None without one."""
        found = (each for each in self.latents if isinstance(each, latents_lib.Categorical))
        return next(found, None)

    @property
    def encoder_parts(self) -> tuple[str, ...]:
        """The parts of the code that the encoder gives; a label gives the others."""
        return tuple(latent.part for latent in self.latents if latent.encoded)

    @property
    def decodes_labels(self) -> bool:
        """Whether a label gives a part of the code, which the decoder receives."""
        return len(self.encoder_parts) < len(self.parts)

    @property
    def num_predicted(self) -> int:
        """The number of classes or clusters that are predicted; 0 for none."""
        return self.categorical.size if self.categorical and self.prediction else 0

    @property
    def num_classes(self) -> int:
        """The number of classes that training labels have; 0 where it learns from none."""
        if self.labels == "none":
            return 0
        return self.categorical.size if self.categorical else self.num_predicted

    @property
    def inference_variables(self) -> list[keras.Variable]:
        """The variables of what inference does, the averaged weights among them."""
        parts = (*self.latents, self.averaged_encoder, self.averaged_decoder)
        return [self.temperature, *(variable for part in parts for variable in part.variables)]

    def label_code(self, labels: tf.Tensor | None) -> latents_lib.Code:
        """The parts of the code that a label gives; none, unless the decoder receives it.

        Args:
            labels: Integer [B]; -1 for a class of zeros.

        Raises:
            ValueError: labels are wanted, and there are none.
        """
        if not self.decodes_labels:
            return {}
        if labels is None:
            raise ValueError(
                f"Expected labels: the decoder of {type(self).__name__} receives them. "
                "Pass (examples, labels)"
            )
        assert self.categorical
        return self.categorical.one_hot(labels)

    def decoder_input(self, code: latents_lib.Code) -> tf.Tensor:
        """The parts of a code side by side, [B, sum of their sizes].

        Raises:
            ValueError: one is missing, or has another shape, or they have not as many rows.
        """
        missing = [part for part in self.parts if part not in code]
        if missing:
            raise ValueError(f"Expected a code of {list(self.parts)}. Missing: {missing}")
        values = {part: tf.convert_to_tensor(code[part], tf.float32) for part in self.parts}
        for part, size in self.parts.items():
            shape = values[part].shape
            if not shape.is_compatible_with([None, size]):
                raise ValueError(f"Expected {part} of shape [B, {size}]. Received: {shape}")
        rows = {part: each.shape[0] for part, each in values.items()}
        if len(set(rows.values()) - {None}) > 1:
            raise ValueError(f"Expected as many rows of each part of a code. Received: {rows}")
        return tf.concat(list(values.values()), axis=-1)

    # Passes of the networks

    def normalize(self, x: tf.Tensor | np.ndarray) -> tf.Tensor:
        """Raw examples as the encoder takes them, float32 [B, ...]."""
        return self.observation.normalize(x)

    def with_views(self, batch: phases_lib.Batch) -> phases_lib.Batch:
        """The batch that phases train on: with a view of each row where there are `views`."""
        if self.views is None:
            return batch
        views = self.views(batch.x, batch.seeds("views"))
        return batch._replace(x=tf.concat([batch.x, views], axis=0), y=tf.tile(batch.y, [2]))

    def training_code(self, batch: phases_lib.Batch) -> latents_lib.Code:
        """The code of a batch, drawn from q(z|x), with noise on the encoder's input in training."""
        x = batch.noise(batch.x, self.input_noise, "input noise")
        encoder = self.encoder if batch.training else self.averaged_encoder
        return self._infer(encoder, x, batch.seeds, training=batch.training)

    def decoder_output(self, code: latents_lib.Code, training: bool) -> tf.Tensor:
        """The decoder's output for a code, as `observation` reads it."""
        decoder = self.decoder if training else self.averaged_decoder
        return tf.cast(decoder(self.decoder_input(code), training=training), tf.float32)

    @property
    def _noise_size(self) -> int:
        return sum(latent.noise_size for latent in self.latents)

    def _infer(
        self, encoder: keras.Model, x: tf.Tensor, seeds: seeds_lib.Seeds | None, training: bool
    ) -> latents_lib.Code:
        """The code of normalised examples: drawn from q(z|x) with seeds, else its centre."""
        inputs = x
        if self._noise_size:
            shape = [tf.shape(x)[0], self._noise_size]
            noise = seeds.normal(shape, "posterior noise") if seeds else tf.zeros(shape)
            inputs = [x, noise]
        outputs = {
            name: tf.cast(value, tf.float32)
            for name, value in encoder(inputs, training=training).items()
        }
        code: latents_lib.Code = {}
        for latent in self.latents:
            code |= latent.code(outputs, seeds)
        return code

    # Inference

    def encode(
        self,
        x: tf.Tensor | np.ndarray,
        seeds: seeds_lib.Seeds | None = None,
        *,
        logits: bool = False,
    ) -> latents_lib.Code:
        """The code of raw examples.

        Called eagerly and without `seeds` it runs compiled, in batches, and takes 0 rows, too. With
        `seeds`, or inside a `tf.function`, all rows go through the encoder at once.

        Args:
            x: uint8 images [B, H, W, C], float ones in [0, 1], or float features [B, D].
            seeds: A `seeds.Seeds` to draw the code from q(z|x) with. Default: no draw; the mean of
                a `gaussian` posterior, the code for zero noise of a `universal` one.
            logits: Whether the encoder's logits of classes or clusters, `class_logits` or
                `cluster_logits`, come with it, for `predicted`.

        Returns:
            float32 [B, size] for each of `encoder_parts`, like `style` and `class_probabilities`,
            those that the decoder is trained with (`classify` gives calibrated ones); for
            dimensionality reduction also `representation`, float32 [B, n].

        Raises:
            ValueError: the examples have another shape or dtype, or are out of range; for the range
                it is tf.errors.InvalidArgumentError inside a compiled function.
        """
        received = tuple(x.shape[1:]) if hasattr(x, "shape") else type(x).__name__
        if received != self.example_shape:
            raise ValueError(
                f"Expected examples of shape {self.example_shape}. Received: {received}"
            )
        if seeds or not tf.executing_eagerly():
            code = self._encode(x, seeds)
        else:
            code = batches.in_parts(self._encode_rows, x)
        return code if logits else self._without_logits(code)

    def _encode_rows(self, x: tf.Tensor) -> latents_lib.Code:
        self.normalize(x)  # Outside the compiled function an error takes one line.
        return self._encode_batch(x)

    def _without_logits(self, code: latents_lib.Code) -> latents_lib.Code:
        return {part: values for part, values in code.items() if part not in self._logits}

    def _encode(self, x: tf.Tensor, seeds: seeds_lib.Seeds | None = None) -> latents_lib.Code:
        code = self._infer(self.averaged_encoder, self.normalize(x), seeds, training=False)
        return {part: code[part] for part in (*self.encoder_parts, *self._logits)}

    @property
    def _logits(self) -> tuple[str, ...]:
        """The name of the encoder's logits of classes or clusters; empty where it gives none."""
        latent = self.categorical
        return (latent.logits,) if latent and latent.encoded else ()

    def decode(self, code: latents_lib.Code) -> tf.Tensor:
        """The expected examples for all parts of a code.

        Args:
            code: float32 [B, size] for each of `parts`.

        Returns:
            Images float32 [B, H, W, C] in [0, 1], or features [B, D].

        Raises:
            ValueError: a part is missing, or has another shape, or they have not as many rows.
        """
        inputs = self.decoder_input(code)
        if not tf.executing_eagerly():
            return self._decode(inputs)
        return batches.in_parts(self._decode_batch, inputs)

    def _decode(self, inputs: tf.Tensor) -> tf.Tensor:
        output = self.averaged_decoder(inputs, training=False)
        return self.observation.mean(tf.cast(output, tf.float32))

    def class_logits(self, code: latents_lib.Code) -> tf.Tensor:
        """The logits of classes or clusters, float32 [B, K], of a code: `encode(x, logits=True)`.

        Raises:
            ValueError: the encoder gives neither classes nor clusters.
        """
        if not self._logits:
            raise ValueError(f"Expected an encoder of classes. {type(self).__name__} has none")
        return code[self._logits[0]]

    def classify(self, x: tf.Tensor | np.ndarray) -> dict[str, tf.Tensor]:
        """The class of raw examples, or their cluster, for models that predict it.

        Args:
            x: As for `encode`.

        Returns:
            {"class": int32 [B], "class_probabilities": float32 [B, classes], calibrated}, or the
            same of `cluster` and `cluster_probabilities`; and the code, as `encode` gives it.

        Raises:
            ValueError: the model predicts neither; see `prediction`.
        """
        if not self.prediction:
            raise ValueError(f"{type(self).__name__} predicts neither classes nor clusters")
        code = self.encode(x, logits=True)
        return self._without_logits(code) | self.predicted(code)

    def predicted(self, code: latents_lib.Code) -> dict[str, tf.Tensor]:
        """The part of `classify`'s answer that is not the code.

        Args:
            code: What `encode` gives with `logits`.
        """
        logits = self.class_logits(code)
        return {
            str(self.prediction): tf.argmax(logits, axis=-1, output_type=tf.int32),
            f"{self.prediction}_probabilities": tf.nn.softmax(logits / self.temperature),
        }

    @tf.function(autograph=False, reduce_retracing=True)
    def sample_prior(self, seeds: tf.Tensor) -> latents_lib.Code:
        """One draw from the prior for each row of seeds.

        Args:
            seeds: Integer [B]; equal seeds give equal draws.

        Returns:
            float32 [B, size] for each part of the code.

        Raises:
            ValueError: the seeds are no integers.
        """
        seeds = tf.convert_to_tensor(seeds)
        if not seeds.dtype.is_integer:
            raise ValueError(f"Expected integer seeds. Received: dtype {seeds.dtype.name}")

        def draw(seed: tf.Tensor) -> latents_lib.Code:
            pair = tf.stack([tf.cast(seed, tf.int64), tf.zeros((), tf.int64)])
            return {
                latent.part: latent.prior.sample(
                    seed=tf.random.fold_in(pair, streams.name_hash(f"{latent.name} prior"))
                )
                for latent in self.latents
            }

        signature = {part: tf.TensorSpec([size], tf.float32) for part, size in self.parts.items()}
        return tf.map_fn(draw, seeds, fn_output_signature=signature)

    def generate(
        self, seeds: tf.Tensor | np.ndarray, values: tf.Tensor | np.ndarray | None = None
    ) -> tf.Tensor:
        """The example decoded from a draw of the prior, for each of the seeds.

        Args:
            seeds: Integer [B]; equal seeds give equal draws.
            values: The class, or cluster, of each example, integer [B], for models with a discrete
                latent variable. Default: drawn from the prior.

        Returns:
            Images float32 [B, H, W, C] in [0, 1], or features [B, D].

        Raises:
            ValueError: the seeds are no integers; a class or cluster is out of range (inside a
                compiled function it is tf.errors.InvalidArgumentError); there are not as many
                values as seeds; or the model has no discrete latent variable, like
                `LabelInformedAAE`, which predicts classes by the prior's components.
        """
        code = self.sample_prior(seeds)
        if values is not None:
            code |= self._chosen(values)
        return self.decode(code)

    def transfer(self, x: tf.Tensor | np.ndarray, values: tf.Tensor | np.ndarray) -> tf.Tensor:
        """Other classes, or clusters, in the style of raw examples.

        Args:
            x: As for `encode`.
            values: The class or cluster of each result, integer [B].

        Returns:
            Images float32 [B, H, W, C] in [0, 1], or features [B, D].

        Raises:
            ValueError: as for `generate`.
        """
        return self.decode(self.encode(x) | self._chosen(values))

    def _chosen(self, values: tf.Tensor | np.ndarray) -> latents_lib.Code:
        """The part of a code that stands for classes or clusters, checked to be in range."""
        if not self.categorical:
            raise ValueError(f"{type(self).__name__} has neither classes nor clusters to choose")
        chosen = labels_lib.in_range(values, self.categorical.size, self.categorical.name)
        return self.categorical.one_hot(chosen)

    def call(self, x: Any, labels: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        """The reconstruction of raw examples, which is what `predict` gives.

        Args:
            x: As for `encode`.
            labels: Integer [B], for models whose decoder receives the class.
            training: Not used: `train_step` trains.

        Raises:
            ValueError: the decoder receives the class, and there are no labels or one is out of
                range (inside a compiled function it is tf.errors.InvalidArgumentError).
        """
        del training
        if labels is not None and self.decodes_labels:
            assert self.categorical
            labels = labels_lib.in_range(labels, self.categorical.size, self.categorical.name)
        return self.decode(self.encode(x) | self.label_code(labels))

    @property
    def example_spec(self) -> tf.TensorSpec:
        """The spec of a batch of raw examples."""
        return tf.TensorSpec(
            (None, *self.example_shape), self.observation.dtype, name=self.observation.name
        )


def _check(policy: keras.DTypePolicy, average: float, views: augmentation.Views | None) -> None:
    if policy.variable_dtype != "float32":
        raise ValueError(
            "Expected a dtype policy with variables of float32, like mixed_bfloat16. Received: "
            f"{policy.name}"
        )
    if not 0 <= average < 1:
        raise ValueError(f"Expected 0 <= average < 1. Received: average={average}")
    if views is not None and not callable(views):
        raise ValueError(f"Expected views: a function, or None. Received: views={views!r}")


def _checked_names(names: Sequence[str], count: int) -> tuple[str, ...]:
    """The names of classes, of which there are so many, or any number where that is 0."""
    names = tuple(map(str, names))
    if count and len(names) not in (0, count):
        raise ValueError(f"Expected {count} class_names. Received: class_names={names}")
    return names


def _checked_shape(shape: Sequence[int]) -> tuple[int, ...]:
    shape = tuple(shape)
    whole = all(isinstance(size, (int, np.integer)) and size > 0 for size in shape)
    if len(shape) not in (1, 3) or not whole:
        raise ValueError(
            "Expected input_shape to be (height, width, channels) or (features,), whole numbers "
            f"above 0. Received: {shape}"
        )
    return tuple(int(size) for size in shape)


def _decoder(
    family: networks.Family,
    parts: dict[str, int],
    shape: tuple[int, ...],
    representation: Callable[[], keras.layers.Layer] | None,
) -> keras.Model:
    """The network from `decoder_input` to the output that the observation reads."""
    size = sum(parts.values())
    if representation is None:
        return networks.built(family.decoder(size, shape), (size,))
    code = keras.Input((size,))
    x = representation()(code)
    return keras.Model(code, family.decoder(x.shape[-1], shape)(x), name="decoder")


@contextlib.contextmanager
def _layers_of(policy: keras.DTypePolicy) -> Iterator[None]:
    """Makes layers of that policy, for images with their channels last.

    Their names count from the first on, as in a new process: TensorFlow adds gradients up in the
    order of names, so that losses would depend on the models made before, in their last digits.
    """
    before = keras.config.dtype_policy(), keras.config.image_data_format()
    counts = global_state.get_global_attribute(_NAME_COUNTS)
    keras.config.set_dtype_policy(policy)
    keras.config.set_image_data_format("channels_last")
    global_state.set_global_attribute(_NAME_COUNTS, None)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before[0])
        keras.config.set_image_data_format(before[1])
        global_state.set_global_attribute(_NAME_COUNTS, counts)
