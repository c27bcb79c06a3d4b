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

from keras_aae.models import autoencoder
from keras_aae.models import seeds as seeds_lib

_ADVERSARIAL = ("discrimination", "generation", "adversary")  # Phases, and the joint step.


class Batch(NamedTuple):
    """One replica's minibatch.

    Attributes:
        x: Normalised examples, float32 [B, ...].
        y: Labels, int32 [B], -1 where unlabelled.
        seeds: Gives the seeds of this update's random draws.
    """

    x: tf.Tensor
    y: tf.Tensor
    seeds: seeds_lib.Seeds


class Phase(NamedTuple):
    """One of the losses that a minibatch is trained on.

    Attributes:
        name: What it is logged as; phases of one name are logged as their sum, and are one step of
            a sequential update.
        loss: (batch, code) -> the loss of each example, [B].
        networks: The networks that it trains.
        weight: Its weight; what is logged is the loss without it.
    """

    name: str
    loss: Callable[[Batch, autoencoder.Code], tf.Tensor]
    networks: tuple[keras.Model, ...]
    weight: float = 1.0

    @property
    def variables(self) -> list[keras.Variable]:
        """The variables that the phase trains."""
        return [variable for network in self.networks for variable in network.trainable_variables]


class PhasedAutoencoder(autoencoder.Autoencoder):
    """An autoencoder that is trained in the phases that a variant states.

    Args:
        update: `joint` or `sequential`.
        input_noise: Standard deviation of the noise on the encoder's input in training; 2-D codes
            that match their prior with it shrink in evaluation, where there is none.
        reconstruction_weight: Weight of the reconstruction loss, a mean over pixels.
        **kwargs: As `autoencoder.Autoencoder`.

    Raises:
        ValueError: an argument is out of its range.

    Attributes:
        updates: How many minibatches it was trained on.
        uses_labels: Whether training needs labelled examples.
        uses_unlabelled: Whether training uses examples without their labels.
    """

    uses_labels = False
    uses_unlabelled = True

    def __init__(
        self,
        *args,
        update: str = "joint",
        input_noise: float = 0.0,
        reconstruction_weight: float = 3.0,
        **kwargs,
    ):
        if update not in ("joint", "sequential"):
            raise ValueError(
                f"Expected update='joint' or 'sequential'. Received: update={update!r}"
            )
        super().__init__(*args, **kwargs)
        self.update = update
        self.input_noise = input_noise
        self.reconstruction_weight = reconstruction_weight
        self.updates = self.add_weight(
            shape=(), dtype="int64", trainable=False, name="updates", initializer="zeros"
        )

    @classmethod
    def batch_sizes(cls, config) -> dict[str, int]:
        """The arguments `batch_size` and `labelled_batch_size` of `data.minibatches`.

        Args:
            config: A `config.Config`.
        """
        if not cls.uses_unlabelled:
            return {"batch_size": 0, "labelled_batch_size": config.batch_size}
        labelled = config.labelled_batch_size if cls.uses_labels else 0
        return {"batch_size": config.batch_size, "labelled_batch_size": labelled}

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases of an update, in the paper's order."""
        raise NotImplementedError

    def augment(self, batch: Batch) -> Batch:
        """What of a minibatch the phases see: all of it as it is, unless a variant says so."""
        return batch

    def reconstruction(self, batch: Batch, code: autoencoder.Code) -> tf.Tensor:
        """Reconstruction phase (paper, section 2): the decoded code against the clean example."""
        code = code | self.condition(batch.y)
        return self.observation.loss(batch.x, self.decoder(self.join(code), training=True))

    def compile(
        self,
        optimizer: keras.optimizers.Optimizer,
        adversarial_optimizer: keras.optimizers.Optimizer | None = None,
        **kwargs,
    ):
        """Prepares training.

        Args:
            optimizer: The pattern of which every phase, or in joint updates the autoencoder, gets a
                copy of its own.
            adversarial_optimizer: The pattern for the adversarial phases, or in joint updates for
                the discriminators. Default: the same.
            **kwargs: As `keras.Model.compile`.
        """
        super().compile(optimizer=optimizer, jit_compile=False, **kwargs)
        self.trackers = {phase.name: keras.metrics.Mean(phase.name) for phase in self.phases}
        self.optimizers = {}
        for name, phases in self._steps().items():
            pattern = (name in _ADVERSARIAL and adversarial_optimizer) or optimizer
            self.optimizers[name] = type(pattern).from_config(pattern.get_config())
            self.optimizers[name].build(
                _unique(variable for phase in phases for variable in phase.variables)
            )

    @property
    def metrics(self):
        return list(getattr(self, "trackers", {}).values())

    def _steps(self):
        """The phases of each optimizer step of an update, by the step's name."""
        steps = {}
        for phase in self.phases:
            trains_codes = any(
                network in (self.encoder, self.decoder) for network in phase.networks
            )
            joint = "autoencoder" if trains_codes else "adversary"
            name = joint if self.update == "joint" else phase.name
            steps.setdefault(name, []).append(phase)
        return steps

    def train_step(self, data: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One update on a replica's minibatch; returns the running mean of each loss.

        Args:
            data: `{"x": raw examples [B, ...], "y": int32 [B]}` as `data.minibatches` gives.
        """
        context = tf.distribute.get_replica_context()
        seeds = seeds_lib.Seeds(self.seed, self.updates, context.replica_id_in_sync_group)
        batch = self.augment(Batch(self.observation.normalize(data["x"]), data["y"], seeds))
        if self.update == "joint":
            self._joint_update(batch)
        else:
            self._sequential_update(batch)
        return {name: tracker.result() for name, tracker in self.trackers.items()}

    def _sequential_update(self, batch):
        for name, phases in self._steps().items():
            own = batch._replace(seeds=batch.seeds.within(name))
            with tf.GradientTape() as tape:
                objective = self._objective(phases, own, self._training_code(own))
            self._apply(name, phases, tape, objective)

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
        """The code of the batch, drawn from q(z|x), with noise on the encoder's input."""
        x = batch.seeds.noise(batch.x, self.input_noise, "input noise")
        return self._encode(self.encoder, x, batch.seeds, training=True)

    def _objective(self, phases, batch, code):
        """What a step minimises: the weighted sum of its phases' losses, tracked unweighted.

        It is divided by the number of replicas, since optimizers sum gradients over them.
        """
        objective, tracked = 0.0, {}
        for phase in phases:
            loss = tf.reduce_mean(phase.loss(batch, code))
            tracked[phase.name] = tracked.get(phase.name, 0.0) + loss
            objective += phase.weight * loss
        for name, loss in tracked.items():
            self.trackers[name].update_state(loss)
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


def _unique(variables):
    """The variables without repeats, in order."""
    return list({id(variable): variable for variable in variables}.values())
