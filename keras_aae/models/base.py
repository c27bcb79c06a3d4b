"""What every variant shares: networks, phases of training, averaged weights and inference.

A variant states its networks and its `phases`: named losses, each with the networks that it trains.
Two orders of update follow from that statement. *Sequential* is the paper's (section 2): for each
phase in turn a fresh pass, a gradient and an optimizer of its own. *Joint* shares one encoder pass:
the autoencoder takes one step on the weighted sum of its losses and the discriminators one on
theirs, both from the weights as they were before the step.
"""

from collections.abc import Callable
from collections.abc import Mapping
from typing import NamedTuple

import keras
import tensorflow as tf

from keras_aae import networks
from keras_aae import observation as observation_lib

Code = dict[str, tf.Tensor]


class Seeds:
    """The seeds of one update's draws on one replica: each call gives another, int32 [2]."""

    def __init__(self, seed: int, update: tf.Tensor, replica: tf.Tensor | int):
        base = tf.stack([tf.constant(seed, tf.int32), tf.cast(update, tf.int32)])
        self._seed = tf.random.fold_in(base, replica)
        self._count = 0

    def __call__(self) -> tf.Tensor:
        self._count += 1
        return tf.random.fold_in(self._seed, self._count)

    def noise(self, x: tf.Tensor, stddev: float) -> tf.Tensor:
        """`x` with Gaussian noise added."""
        if not stddev:
            return x
        return x + stddev * tf.random.stateless_normal(tf.shape(x), self(), dtype=x.dtype)


class Batch(NamedTuple):
    """One replica's minibatch.

    Attributes:
        x: Normalised examples, float32 [B, ...].
        y: Labels, int32 [B], -1 where unlabelled.
        seeds: Gives the seeds of this update's random draws.
    """

    x: tf.Tensor
    y: tf.Tensor
    seeds: Seeds


class Phase(NamedTuple):
    """One of the losses that a minibatch is trained on.

    Attributes:
        name: What it is logged as.
        loss: (batch, code) -> the loss of each example, [B].
        networks: The networks that it trains.
        weight: Its weight; what is logged is the loss without it.
    """

    name: str
    loss: Callable[[Batch, Code], tf.Tensor]
    networks: tuple[keras.Model, ...]
    weight: float = 1.0

    @property
    def variables(self) -> list[keras.Variable]:
        """The variables that the phase trains."""
        return [variable for network in self.networks for variable in network.trainable_variables]


class Signature(NamedTuple):
    """A function of the exported model.

    Attributes:
        function: Takes a tensor for each of the inputs; returns named tensors.
        inputs: The inputs' names, shapes and dtypes; the first axis is the batch.
    """

    function: Callable[..., dict[str, tf.Tensor]]
    inputs: list[tf.TensorSpec]


class Autoencoder(keras.Model):
    """x -> code -> x, trained in phases.

    Subclasses state the parts of the code, how the encoder's outputs become a code, and `phases`.

    Args:
        input_shape: The shape of one example: (height, width, channels) or (features,).
        parts: The size of each part of the code, by name.
        network: `mlp`, `conv` or a `networks.Family`.
        observation: How raw data enters the graph. Default: uint8 images.
        update: `joint` or `sequential`.
        input_noise: Standard deviation of the noise on the encoder's input in training.
        reconstruction_weight: Weight of the reconstruction loss, a mean over pixels.
        average: Decay of the moving average of the weights that inference uses; 0 for the weights
            themselves.
        seed: Draws the initial weights and all noise.

    Raises:
        ValueError: an argument is out of its range.

    Attributes:
        uses_labels: Whether training needs labelled examples.
    """

    uses_labels = False

    def __init__(
        self,
        input_shape: tuple[int, ...],
        parts: Mapping[str, int],
        *,
        network: str | networks.Family = "conv",
        observation: observation_lib.Observation | None = None,
        update: str = "joint",
        input_noise: float = 0.3,
        reconstruction_weight: float = 3.0,
        average: float = 0.995,
        seed: int = 0,
    ):
        super().__init__()
        if update not in ("joint", "sequential"):
            raise ValueError(
                f"Expected update='joint' or 'sequential'. Received: update={update!r}"
            )
        if not 0 <= average < 1:
            raise ValueError(f"Expected 0 <= average < 1. Received: average={average}")
        keras.utils.set_random_seed(seed)
        self.observation = observation or observation_lib.Pixels()
        self.example_shape = tuple(input_shape)
        self.parts = dict(parts)
        self.family = networks.get(network, self.example_shape)
        self.encoder = self.family.encoder(self.example_shape, self.heads)
        self.decoder = self.family.decoder(sum(self.parts.values()), self.example_shape)
        self.update = update
        self.input_noise = input_noise
        self.reconstruction_weight = reconstruction_weight
        self.average = average
        self.seed = seed
        self.updates = self.add_weight(
            shape=(), dtype="int64", trainable=False, name="updates", initializer="zeros"
        )
        self.averaged_encoder = _copy(self.encoder) if average else self.encoder
        self.averaged_decoder = _copy(self.decoder) if average else self.decoder

    # ---- What a variant states.

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases of an update, in the paper's order."""
        raise NotImplementedError

    @property
    def heads(self) -> dict[str, int]:
        """The size of each raw output of the encoder, by name."""
        return self.parts

    def to_code(self, outputs: Mapping[str, tf.Tensor]) -> Code:
        """The code that the encoder's raw outputs stand for, and whatever else phases need."""
        return dict(outputs)

    def reconstruction(self, batch: Batch, code: Code) -> tf.Tensor:
        """Reconstruction phase (paper, section 2): the decoded code against the clean example."""
        return self.observation.loss(batch.x, self.decoder(self.join(code), training=True))

    # ---- Training.

    def compile(self, optimizer: keras.optimizers.Optimizer, **kwargs):
        """Prepares training.

        Args:
            optimizer: The pattern of which every phase, or in joint updates the autoencoder and the
                discriminators, gets a copy of its own.
            **kwargs: As `keras.Model.compile`.
        """
        super().compile(optimizer=optimizer, jit_compile=False, **kwargs)
        self.trackers = {phase.name: keras.metrics.Mean(phase.name) for phase in self.phases}
        self.optimizers = {}
        for name, phases in self._steps().items():
            self.optimizers[name] = type(optimizer).from_config(optimizer.get_config())
            self.optimizers[name].build(
                _unique(variable for phase in phases for variable in phase.variables)
            )

    @property
    def metrics(self):
        return list(getattr(self, "trackers", {}).values())

    def _steps(self):
        """The phases of each optimizer step of an update, by the step's name."""
        if self.update == "sequential":
            return {phase.name: (phase,) for phase in self.phases}
        steps = {}
        for phase in self.phases:
            trains_codes = any(
                network in (self.encoder, self.decoder) for network in phase.networks
            )
            steps.setdefault("autoencoder" if trains_codes else "adversary", []).append(phase)
        return steps

    def train_step(self, data: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One update on a replica's minibatch; returns the running mean of each loss.

        Args:
            data: `{"x": raw examples [B, ...], "y": int32 [B]}` as `data.minibatches` gives.
        """
        context = tf.distribute.get_replica_context()
        seeds = Seeds(self.seed, self.updates, context.replica_id_in_sync_group)
        batch = Batch(self.observation.normalize(data["x"]), data["y"], seeds)
        if self.update == "joint":
            self._joint_update(batch)
        else:
            self._sequential_update(batch)
        return {name: tracker.result() for name, tracker in self.trackers.items()}

    def _sequential_update(self, batch):
        for name, (phase,) in self._steps().items():
            with tf.GradientTape() as tape:
                objective = self._objective([phase], batch, self._training_code(batch))
            self._apply(name, [phase], tape, objective)

    def _joint_update(self, batch):
        steps = self._steps()
        with tf.GradientTape(persistent=True) as tape:
            code = self._training_code(batch)
            objectives = {
                name: self._objective(phases, batch, code) for name, phases in steps.items()
            }
        for name, phases in steps.items():
            self._apply(name, phases, tape, objectives[name])

    def _training_code(self, batch):
        """The code of the batch with noise on the encoder's input."""
        return self.to_code(
            self.encoder(batch.seeds.noise(batch.x, self.input_noise), training=True)
        )

    def _objective(self, phases, batch, code):
        """What a step minimises: the weighted sum of its phases' losses, tracked unweighted.

        It is divided by the number of replicas, since optimizers sum gradients over them.
        """
        objective = 0.0
        for phase in phases:
            loss = tf.reduce_mean(phase.loss(batch, code))
            self.trackers[phase.name].update_state(loss)
            objective += phase.weight * loss
        return objective / tf.distribute.get_strategy().num_replicas_in_sync

    def _apply(self, step, phases, tape, objective):
        variables = _unique(variable for phase in phases for variable in phase.variables)
        gradients = tape.gradient(objective, variables)
        # A loss need not reach every head of the encoder; tape.gradient can't give zeros for a
        # mirrored variable by itself.
        gradients = [
            tf.zeros_like(variable) if gradient is None else gradient
            for gradient, variable in zip(gradients, variables, strict=True)
        ]
        self.optimizers[step].apply(gradients, variables)

    def make_train_function(self, force: bool = False):
        """As in Keras, but reduces scalars, as several workers need (keras#20585)."""
        if self.train_function is not None and not force:
            return
        strategy = self.distribute_strategy

        @tf.function
        def train_function(iterator):
            logs = strategy.run(self.train_step, args=(next(iterator),))
            self.updates.assign_add(1)
            self._update_average()
            return {name: strategy.reduce("MEAN", value, axis=None) for name, value in logs.items()}

        self.train_function = train_function

    def _update_average(self):
        """Moves the averaged weights towards the weights, early on by more."""
        if not self.average:
            return
        count = tf.cast(self.updates, tf.float32)
        rate = tf.maximum(1 - self.average, 1 / (1 + count / 2))
        pairs = ((self.averaged_encoder, self.encoder), (self.averaged_decoder, self.decoder))
        for averaged, network in pairs:
            for mean, variable in zip(averaged.variables, network.variables, strict=True):
                if variable.dtype == "float32":
                    mean.assign(mean + rate * (variable - mean))

    # ---- Inference, with the averaged weights.

    def join(self, code: Code) -> tf.Tensor:
        """The decoder's input for a code: its parts side by side, [B, size]."""
        return tf.concat([code[name] for name in self.parts], axis=-1)

    def encode(self, x: tf.Tensor) -> Code:
        """The code of raw examples.

        Args:
            x: uint8 images [B, H, W, C], or float features [B, D].

        Returns:
            float32 [B, size] for each part of the code.
        """
        code = self.to_code(self.averaged_encoder(self.observation.normalize(x), training=False))
        return {name: code[name] for name in self.parts}

    def decode(self, code: Code) -> tf.Tensor:
        """The expected examples: images float32 [B, H, W, C] in [0, 1], or features [B, D]."""
        output = self.averaged_decoder(self.join(code), training=False)
        return self.observation.mean(output)

    @property
    def example_spec(self) -> tf.TensorSpec:
        """The spec of a batch of raw examples."""
        return tf.TensorSpec(
            (None, *self.example_shape), self.observation.dtype, name=self.observation.name
        )

    def signatures(self) -> dict[str, Signature]:
        """What an export offers."""
        name = self.observation.name
        parts = [
            tf.TensorSpec((None, size), tf.float32, name=part) for part, size in self.parts.items()
        ]
        return {
            "encode": Signature(self.encode, [self.example_spec]),
            "decode": Signature(
                lambda *code: {name: self.decode(dict(zip(self.parts, code, strict=True)))}, parts
            ),
            "reconstruct": Signature(lambda x: {name: self(x)}, [self.example_spec]),
        }

    def call(self, x, training=False):
        """The reconstruction of raw examples; see `encode` and `decode`."""
        del training  # Training goes through `train_step`.
        return self.decode(self.encode(x))


def _copy(network):
    """A network of its own with the same weights, for a moving average."""
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    copy.trainable = False
    return copy


def _unique(variables):
    """The variables without repeats, in order."""
    return list({id(variable): variable for variable in variables}.values())
