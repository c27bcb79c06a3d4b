"""The training half of a model: phases under Keras's `compile`, `fit` and `evaluate`."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_aae.data import batching
from keras_aae.data import splits
from keras_aae.models import labels as labels_lib
from keras_aae.models import latents
from keras_aae.models import metrics as metrics_lib
from keras_aae.models import optimizers as optimizers_lib
from keras_aae.models import phases as phases_lib
from keras_aae.models import seeds as seeds_lib
from keras_aae.models import updates


class Trainer(keras.Model):
    """A Keras model that is trained in phases; `autoencoder.Autoencoder` gives it its networks.

    A step trains on one minibatch. `fit` and `evaluate` take what Keras models take: arrays, or a
    `tf.data.Dataset` of examples, of (examples, labels) or of {"x": examples, "y": labels}, which
    may hold more examples and labels as "labelled", for the phases that want labels. Only
    `fit` takes the endless minibatches of `data.minibatches`, which bring labelled and unlabelled
    examples together and are the same after a restart. Labels are integer [B] or [B, 1], -1 where
    unknown, or one-hot [B, classes], all zeros where unknown.

    Attributes:
        phases: The phases of a step, in the paper's order.
        step: How many minibatches it was trained on.
        temperature: What divides the logits of classes in `classify`, float32; 1 until it is set,
            as `evaluation.Evaluator.calibrate` does, and again after `fit`.
        phase_networks: The networks, and other layers among their attributes, that a user's own
            phases built, where there are any.
        optimizers: The optimizer of each optimizer step by name, once it is compiled.
        labels: Which training labels it learns from: `none`, `few` (beside examples without them)
            or `all`.
    """

    labels = "none"
    train_function: Callable | None
    test_function: Callable | None

    def _start(self, phases: Iterable[phases_lib.Phase], update_rule: str, average: float) -> None:
        """Builds the phases; the networks are there."""
        self.phases = tuple(phases)
        if any(phase.name == metrics_lib.ERROR_RATE for phase in self.phases):
            raise ValueError("Expected phases of other names than error_rate, which is measured")
        self.update_rule = updates.get(update_rule)
        self.average = average
        self.step = self.add_weight(
            shape=(), dtype="int64", trainable=False, name="step", initializer="zeros"
        )
        self.temperature = self.add_weight(
            shape=(), dtype="float32", trainable=False, name="temperature", initializer="ones"
        )
        for phase in self.phases:
            phase.build(self)
        self._check_networks_of_phases()
        self._keep_networks_of_phases()
        self._trackers = {phase.name: keras.metrics.Mean(phase.name) for phase in self.phases}
        self._error_rate = metrics_lib.error_rate(self.prediction, self.num_predicted)

    def _keep_networks_of_phases(self) -> None:
        """Makes what phases built for themselves, to train or not, part of the model that is saved.

        Those are the networks that they train, and the layers among their attributes.
        """
        own = {id(layer) for layer in self._flatten_layers()}
        built = [
            layer
            for phase in self.phases
            for layer in (*phase.networks(self), *vars(phase).values())
            if isinstance(layer, keras.layers.Layer) and id(layer) not in own
        ]
        if built:
            self.phase_networks = list({id(layer): layer for layer in built}.values())

    def _check_networks_of_phases(self) -> None:
        """Raises a ValueError where a phase trains a network that it did not build."""
        for phase in self.phases:
            for network in phase.networks(self):
                if not network.built:
                    raise ValueError(
                        f"Expected the networks of the phase {phase.name} to be built, with an "
                        f"input shape. Received: {network.name}"
                    )

    def add_state(self, name: str, shape: tuple[int, ...]) -> keras.Variable:
        """A variable for what a phase keeps from step to step, float32, zeros at first.

        Args:
            name: Its name; it becomes an attribute of the model, which checkpoints look for.
            shape: Its shape.

        Raises:
            ValueError: the model has an attribute of that name.
        """
        if hasattr(self, name):
            raise ValueError(f"Expected a name of its own for a state. Received: {name}")
        state = self.add_weight(
            shape=shape,
            dtype="float32",
            initializer="zeros",
            trainable=False,
            aggregation="only_first_replica",
            name=name,
        )
        setattr(self, name, state)
        return state

    # Compiling

    def compile(
        self,
        optimizer: str | keras.optimizers.Optimizer = "adam",
        adversarial_optimizer: str | keras.optimizers.Optimizer | None = None,
        *,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        run_eagerly: bool = False,
        auto_scale_loss: bool = True,
        **refused: Any,
    ) -> None:
        """Prepares training.

        Args:
            optimizer: Trains the autoencoder in joint updates, the first phase in sequential ones.
                The other steps get copies of it, which follow its learning rate.
            adversarial_optimizer: The pattern for the adversarial phases, or in joint updates for
                the discriminators. Its learning rate keeps its ratio to the other's, unless it has
                a schedule of its own; a model that is saved while both are 0 comes back with the
                ratio 1. Default: the same.
            steps_per_execution: Steps in one call of the compiled function.
            jit_compile: Whether XLA compiles a step. `auto`: no.
            run_eagerly: Whether to run a step operation by operation, for debugging.
            auto_scale_loss: Whether losses are scaled under the policy `mixed_float16`.
            **refused: Not taken: `loss`, `loss_weights`, since the phases bring theirs; `metrics`,
                `weighted_metrics`, since losses and error rate are measured.

        Raises:
            ValueError: an argument can't be honoured, or has a value that isn't allowed.
            TypeError: there is no such argument.
        """
        _check_refused(refused)
        if not isinstance(steps_per_execution, int) or steps_per_execution < 1:
            raise ValueError(
                f"Expected steps_per_execution of 1 or more. Received: {steps_per_execution}"
            )
        self._check_jit(jit_compile)
        super().compile(
            optimizer=optimizers_lib.get(optimizer),
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile is True,
            run_eagerly=run_eagerly,
            auto_scale_loss=auto_scale_loss,
        )
        pattern = optimizers_lib.get(adversarial_optimizer or self.optimizer)
        self.optimizers = optimizers_lib.for_steps(self.update_rule, self, self.optimizer, pattern)
        self._compile_arguments = {
            "steps_per_execution": steps_per_execution,
            "jit_compile": jit_compile,
            "run_eagerly": run_eagerly,
            "auto_scale_loss": auto_scale_loss,
        }

    def _check_jit(self, jit_compile: bool | str) -> None:
        if not isinstance(jit_compile, bool) and jit_compile != "auto":
            raise ValueError(f"Expected jit_compile True, False or 'auto'. Received: {jit_compile}")
        if jit_compile is not True:
            return
        if not getattr(self.views, "xla", True):
            raise ValueError(
                "Expected jit_compile=False: XLA has no kernel for affine views "
                "(views='none' does without). Received: jit_compile=True"
            )
        replicas = self.distribute_strategy.num_replicas_in_sync
        if replicas > 1:
            raise ValueError(
                f"Expected jit_compile=False with {replicas} replicas: XLA can't reach the "
                "variables of another device. Received: jit_compile=True"
            )

    def get_compile_config(self) -> dict[str, Any] | None:
        """The arguments of `compile`, for Keras to save."""
        if not self.compiled:
            return None
        adversarial = [
            self.optimizers[name]
            for name, own in self.update_rule.steps(self).items()
            if self.update_rule.is_adversarial(name, own)
        ]
        # Keras takes objects with one id() for one object, so both are made before either goes.
        made = [optimizers_lib.pattern(each) for each in (self.optimizer, *adversarial[:1])]
        names = ("optimizer", "adversarial_optimizer")
        serialized = {
            name: keras.saving.serialize_keras_object(each)
            for name, each in zip(names, made, strict=False)
        }
        return {**self._compile_arguments, **serialized}

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles with what `get_compile_config` gave."""
        self.compile(**keras.saving.deserialize_keras_object(config))

    # Fitting

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As in Keras; see the class for what it takes. A `data.Split` is examples and labels.

        With `data.minibatches` and no `steps_per_epoch` an epoch is a pass over the examples.

        Raises:
            ValueError: the data doesn't fit the model, a sample or class weight is given, or the
                steps of an epoch are not a multiple of `steps_per_execution`.
            UserError: a batch size of the minibatches is not a multiple of the replicas.
        """
        x, y = _of_split(x, y)
        y = self._checked_labels(x, y, kwargs)
        if isinstance(x, batching.Minibatches):
            if self.num_classes and x.num_classes > self.num_classes:
                raise ValueError(
                    f"Expected minibatches of {self.num_classes} classes. "
                    f"Received: labels up to {x.num_classes - 1}"
                )
            if self.labels != "none" and not x.has_labels:
                raise ValueError(
                    f"Expected minibatches with labels: {type(self).__name__} learns from them. "
                    "Received: labelled_batch_size=0"
                )
            if kwargs.get("steps_per_epoch") is None:
                kwargs["steps_per_epoch"] = x.steps_per_pass
            kwargs["shuffle"] = False
            x = x.distributed(self.distribute_strategy)
        self._check_replicas(x)
        steps = kwargs.get("steps_per_epoch")
        if steps and steps % self.steps_per_execution:
            raise ValueError(
                f"Expected steps_per_epoch to be a multiple of "
                f"steps_per_execution={self.steps_per_execution}. Received: {steps}"
            )
        self.temperature.assign(1.0)  # It was chosen for other weights.
        return super().fit(x, y, *args, **kwargs)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As in Keras; see the class for what it takes. A `data.Split` is examples and labels.

        Raises:
            ValueError: the data doesn't fit the model or never ends, or a sample weight is given.
        """
        if isinstance(x, batching.Minibatches):
            raise ValueError("Expected examples that end. Received: Minibatches, which are for fit")
        x, y = _of_split(x, y)
        return super().evaluate(x, self._checked_labels(x, y, kwargs), *args, **kwargs)

    def _checked_labels(self, x: Any, y: Any, settings: Mapping[str, Any]) -> Any:
        """The labels, checked; of arrays the examples are checked, too.

        Within the compiled step an error would take many lines.
        """
        for name in ("sample_weight", "class_weight"):
            if settings.get(name) is not None:
                raise ValueError(f"Expected no {name}: the phases don't weigh examples")
        if isinstance(x, list):
            raise ValueError("Expected an array of examples, or a data set. Received: list")
        if not isinstance(x, np.ndarray):
            return y
        self.observation.check(x)
        return y if y is None else labels_lib.of_array(y, len(x), self.num_classes)

    def _check_replicas(self, x: Any) -> None:
        replicas = self.distribute_strategy.num_replicas_in_sync
        if replicas > 1 and not isinstance(x, tf.distribute.DistributedDataset):
            raise ValueError(
                f"Expected keras_aae.data.minibatches(...) to fit on {replicas} replicas, which "
                "gives each its share of labelled and of unlabelled examples, or what "
                "strategy.distribute_datasets_from_function gives. Keras would cut each batch in "
                f"parts as it comes. Received: {type(x).__name__}"
            )

    def predict_step(self, data: Any) -> tf.Tensor:
        """The reconstruction of examples; labels with them reach a decoder that receives those."""
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
        x, y = x if isinstance(x, (tuple, list)) else (x, y)
        if y is None or not self.decodes_labels:
            return self(x)
        return self(x, labels_lib.of_batch(tf.convert_to_tensor(y), 0))  # `call` checks the range.

    def _batch(self, data: Any, seeds: seeds_lib.Seeds, *, training: bool) -> phases_lib.Batch:
        """A batch in any of the forms that `fit` takes, without views."""
        x, y = self._unpack(data, training=training)
        count = tf.shape(x)[0]
        if isinstance(data, Mapping) and "labelled" in data:
            labelled_x, labelled_y = self._unpack(data["labelled"], training=training)
            x, y = tf.concat([x, labelled_x], axis=0), tf.concat([y, labelled_y], axis=0)
        return phases_lib.Batch(self.normalize(x), y, count, seeds, training)

    def _unpack(self, data: Any, *, training: bool) -> tuple[tf.Tensor, tf.Tensor]:
        """Raw examples and int32 labels [B] of a part of a batch."""
        if isinstance(data, Mapping):
            x, y, weight = data["x"], data.get("y"), None
        else:
            x, y, weight = keras.utils.unpack_x_y_sample_weight(data)
        x, y = tf.convert_to_tensor(x), y if y is None else tf.convert_to_tensor(y)
        if weight is not None:
            raise ValueError("Expected no sample weights: the phases don't weigh examples")
        if tuple(x.shape[1:]) != self.example_shape:
            raise ValueError(
                f"Expected examples of shape {self.example_shape}. Received: {tuple(x.shape[1:])}"
            )
        if y is None:
            if self.decodes_labels or (training and self.labels != "none"):
                unknown = "" if self.decodes_labels else " (-1 where unknown)"
                raise ValueError(
                    f"Expected labels{unknown}: {type(self).__name__} learns from them. Received: "
                    "examples alone"
                )
            return x, tf.fill([tf.shape(x)[0]], splits.UNLABELLED)
        labels = labels_lib.of_batch(y, self.num_classes)
        if self.decodes_labels:  # A decoder can't be trained, or measured, without the class.
            labels = labels_lib.in_range(labels, self.num_classes, "label")
        return x, labels

    # Steps

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """One step on a replica's minibatch; returns the running mean of each of its losses."""
        context = tf.distribute.get_replica_context()
        seeds = seeds_lib.Seeds(self.seed, self.step, context.replica_id_in_sync_group)
        self.update_rule(self, self.with_views(self._batch(data, seeds, training=True)))
        return self._running_means()

    def _running_means(self) -> dict[str, tf.Tensor]:
        return {name: tracker.result() for name, tracker in self._trackers.items()}

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """The losses of held-out examples and the error rate, for codes drawn from q(z|x).

        Encoder and decoder have the averaged weights; discriminators have no average. Every batch
        uses the same random draws, so that results repeat; they depend on the batch size.
        """
        seeds = seeds_lib.Seeds(self.seed, tf.constant(0)).within("evaluation")
        batch = self._batch(data, seeds, training=False)
        code = self.training_code(batch)
        self.tracked_losses([phase for phase in self.phases if phase.measured], batch, code)
        if self._error_rate:
            self._error_rate.update_state(batch.y, self.class_logits(code))
        return self._measured()

    def _measured(self) -> dict[str, tf.Tensor]:
        """What was measured since the last reset."""
        names = dict.fromkeys(phase.name for phase in self.phases if phase.measured)
        results = {name: self._trackers[name].result() for name in names}
        if self._error_rate:
            results[self._error_rate.name] = self._error_rate.result()
        return results

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """What `fit` and `evaluate` measure."""
        rate = getattr(self, "_error_rate", None)
        return [*getattr(self, "_trackers", {}).values(), *([rate] if rate else [])]

    def tracked_losses(
        self,
        phases: Sequence[phases_lib.Phase],
        batch: phases_lib.Batch,
        code: latents.Code,
    ) -> list[tf.Tensor]:
        """The mean loss of each phase, which its running mean takes in.

        Phases of one name have one running mean, of their sum.
        """
        seen = {True: (batch, code), False: (batch.plain(), batch.plain_code(code))}
        losses = [tf.reduce_mean(phase.loss(self, *seen[phase.whole_batch])) for phase in phases]
        counts = [phase.count(seen[phase.whole_batch][0]) for phase in phases]
        sums: dict[str, tf.Tensor] = {}
        weights: dict[str, tf.Tensor] = {}
        for phase, loss, count in zip(phases, losses, counts, strict=True):
            # A batch may have no rows that count, or a replica none of the last examples.
            loss = tf.where(count > 0, loss, 0.0)
            sums[phase.name] = sums[phase.name] + loss if phase.name in sums else loss
            weights[phase.name] = tf.minimum(count, 1) if batch.training else count
        for name, loss in sums.items():
            self._trackers[name].update_state(loss, sample_weight=weights[name])
        return losses

    # Compiled functions

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Nothing: networks are built as they are made. Keras's can't take a batch of workers."""

    def make_train_function(self, force: bool = False) -> Callable:
        """As in Keras, and after each step the counter and the averaged weights move on."""
        if self.train_function is None or force:
            self.train_function = self._function(
                self.train_step, self._running_means, self._finish_step
            )
        return self.train_function

    def make_test_function(self, force: bool = False) -> Callable:
        """As in Keras."""
        if self.test_function is None or force:
            self.test_function = self._function(self.test_step, self._measured)
        return self.test_function

    def _function(
        self, step: Callable, read: Callable, finish: Callable[[], None] = lambda: None
    ) -> Callable:
        """A function of an iterator that takes `steps_per_execution` steps.

        Phases are not converted by AutoGraph, as nothing is in Keras's own training: it took most
        of the time to the first step. One that branches on the value of a tensor uses `tf.cond`.
        Keras's own reduces along an axis that scalars lack, which fails with several workers
        (keras#20585).

        Args:
            step: Takes a step on a replica.
            read: Gives the metrics, which are then those of all replicas' examples.
            finish: Is called after each step.
        """
        strategy = self.distribute_strategy
        on_replica = step
        if self.jit_compile:
            on_replica = tf.function(step, autograph=False, jit_compile=True)

        @tf.autograph.experimental.do_not_convert
        def one(data: Any) -> dict[str, tf.Tensor]:
            strategy.run(on_replica, args=(data,))
            finish()
            with strategy.scope():
                return read()

        def function(iterator: Any) -> dict[str, tf.Tensor]:
            logs = one(next(iterator))
            if self.steps_per_execution > 1:
                for _ in tf.range(self.steps_per_execution - 1):
                    data = iterator.get_next_as_optional()
                    if not data.has_value():  # The end of the data; what came before counts.
                        break
                    logs = one(data.get_value())
            return logs

        return function if self.run_eagerly else tf.function(function)

    def _finish_step(self) -> None:
        self.step.assign_add(1)
        self._update_average()

    def _update_average(self) -> None:
        """Moves the averaged weights towards the weights, early on by more."""
        if not self.average:
            return
        count = tf.cast(self.step, tf.float32)
        # With the rate 1 / (1 + n / 2) the average forgets the random start within a few steps.
        rate = tf.maximum(1 - self.average, 1 / (1 + count / 2))
        pairs = ((self.averaged_encoder, self.encoder), (self.averaged_decoder, self.decoder))
        for averaged, network in pairs:
            for mean, variable in zip(averaged.variables, network.variables, strict=True):
                if variable.dtype == "float32":
                    mean.value.assign_add(rate * (variable.value - mean.value))


def _check_refused(arguments: Mapping[str, Any]) -> None:
    """Raises a ValueError for an argument of Keras's `compile` that the phases bring themselves."""
    brought = ("loss", "loss_weights", "metrics", "weighted_metrics")
    for name, value in arguments.items():
        if name not in brought:
            raise TypeError(f"compile() got an unexpected keyword argument {name!r}")
        if value is not None:
            raise ValueError(
                f"Expected compile() without {name}: the model brings its losses and its error "
                f"rate. Received: {name}={value!r}"
            )


def _of_split(x: Any, y: Any) -> tuple[Any, Any]:
    """Examples and labels, which a `data.Split` holds both."""
    if isinstance(x, splits.Dataset):
        raise ValueError("Expected one of its parts, like dataset.train. Received: Dataset")
    if not isinstance(x, splits.Split):
        return x, y
    if y is not None:
        raise ValueError("Expected no labels beside a Split, which has its own")
    return x.array(), x.y
