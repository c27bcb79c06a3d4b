"""The optimizers of a model's steps, which follow the learning rate of one of them."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_aae.models import defaults
from keras_aae.models import phases as phases_lib
from keras_aae.models import updates


@keras.saving.register_keras_serializable("keras_aae")
class Adam(keras.optimizers.Adam):
    """Keras's Adam (arXiv 1412.6980), each variable updated by one operation of TensorFlow.

    It gives the same numbers but for rounding, faster: Keras's takes a dozen operations a variable,
    each of which goes through the memory once.

    Raises:
        ValueError: `amsgrad` is asked for, which that operation doesn't know.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.amsgrad:
            raise ValueError("Expected amsgrad=False: keras.optimizers.Adam has it")

    def apply(
        self, grads: Sequence[tf.Tensor], trainable_variables: Sequence[Any] | None = None
    ) -> None:
        """As in Keras."""
        steps = tf.cast(self.iterations + 1, tf.float32)
        self._beta_1_power = tf.constant(self.beta_1) ** steps  # Once for all variables.
        self._beta_2_power = tf.constant(self.beta_2) ** steps
        super().apply(grads, trainable_variables)

    def update_step(
        self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor
    ) -> None:
        """As in Keras."""
        index = self._get_variable_index(variable)
        dtype = variable.dtype
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.cast(self._beta_1_power, dtype),
            beta2_power=tf.cast(self._beta_2_power, dtype),
            lr=tf.cast(learning_rate, dtype),
            beta1=tf.constant(self.beta_1, dtype),
            beta2=tf.constant(self.beta_2, dtype),
            epsilon=tf.constant(self.epsilon, dtype),
            grad=tf.cast(gradient, dtype),
        )


def get(optimizer: str | keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """The optimizer; `adam` is Adam with a learning rate of 0.001 and beta_1 0.5.

    Raises:
        ValueError: it is None or unknown, or keeps an average of the weights (`use_ema`).
    """
    if optimizer == "adam":
        return Adam(defaults.LEARNING_RATE, beta_1=defaults.MOMENTUM)
    if optimizer is None:
        raise ValueError("Expected an optimizer, or the name of one. Received: None")
    made = keras.optimizers.get(optimizer)
    if _inner(made).use_ema:
        raise ValueError(
            "Expected an optimizer without use_ema: the model keeps an average of its weights "
            "itself, average=. Received: use_ema=True"
        )
    return made


def for_steps(
    rule: updates.UpdateRule,
    model: updates.Model,
    optimizer: keras.optimizers.Optimizer,
    adversarial: keras.optimizers.Optimizer,
) -> dict[str, keras.optimizers.Optimizer]:
    """The built optimizer of each optimizer step, by the name of the step.

    Args:
        rule: The update rule, which says what the steps are.
        model: The model.
        optimizer: Serves the first step that isn't adversarial; the pattern of the others.
        adversarial: The pattern for adversarial steps.
    """
    made: dict[str, keras.optimizers.Optimizer] = {}
    for name, phases in rule.steps(model).items():
        is_adversarial = rule.is_adversarial(name, phases)
        if is_adversarial or optimizer in made.values():
            made[name] = _copy(adversarial if is_adversarial else optimizer, optimizer, name)
        else:
            made[name] = optimizer
        made[name].build(phases_lib.variables(phases, model))
    return made


def pattern(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """An optimizer with the settings of another, and the learning rate that it has now.

    That of one that follows a schedule in a fixed ratio is what it was at the first step, as the
    schedule begins again with a new optimizer, too.
    """
    inner = _inner(optimizer)
    config = inner.get_config()
    if not _has_schedule(inner):
        config["learning_rate"] = _first_rate(inner)
    return _scaled_like(optimizer, type(inner).from_config(config))


def constant_rate(optimizer: keras.optimizers.Optimizer) -> float | None:
    """The learning rate; None of an optimizer that follows a schedule."""
    inner = _inner(optimizer)
    return None if _has_schedule(inner) else _first_rate(inner)


class _Following:
    """A learning rate in a fixed ratio to that of another optimizer."""

    def __init__(self, leader: keras.optimizers.Optimizer, ratio: float):
        self._leader = leader
        self._ratio = ratio

    def __call__(self) -> tf.Tensor:
        return tf.convert_to_tensor(self._leader.learning_rate) * self._ratio

    def first(self) -> float:
        """The rate where the leader begins."""
        return _first_rate(_inner(self._leader)) * self._ratio

    def get_config(self) -> dict:
        return {"ratio": self._ratio}


def _copy(
    copied: keras.optimizers.Optimizer, leader: keras.optimizers.Optimizer, step: str
) -> keras.optimizers.Optimizer:
    """An optimizer like one, whose learning rate keeps its ratio to the leader's.

    One with a schedule of its own follows that. Its name has the step in place of a number that
    counts the optimizers of the process: TensorFlow adds gradients up in the order of names.
    """
    inner = _inner(copied)
    config = {**inner.get_config(), "name": f"{_inner(leader).name}_{step}"}
    if not _has_schedule(inner):
        config["learning_rate"] = _Following(leader, _ratio(inner, leader))
    made = type(inner).from_config(config)
    made._use_weight_decay = inner._use_weight_decay  # What is excluded from it isn't in a config.
    return _scaled_like(leader, made)


def _scaled_like(
    pattern: keras.optimizers.Optimizer, optimizer: keras.optimizers.Optimizer
) -> keras.optimizers.Optimizer:
    """The optimizer, which scales losses where the pattern does, and as that does."""
    if not isinstance(pattern, keras.optimizers.LossScaleOptimizer):
        return optimizer
    config = pattern.get_config()
    names = ("initial_scale", "dynamic_growth_steps", "name")
    return keras.optimizers.LossScaleOptimizer(optimizer, **{name: config[name] for name in names})


def _ratio(optimizer: keras.optimizers.Optimizer, leader: keras.optimizers.Optimizer) -> float:
    rate, of_leader = _first_rate(optimizer), _first_rate(_inner(leader))
    if rate and not of_leader:
        raise ValueError(
            "Expected a learning rate above 0: that of the adversarial optimizer keeps its ratio "
            f"to it. Received: 0, and {rate:g} for the adversarial optimizer"
        )
    return rate / of_leader if of_leader else 1.0


def _first_rate(optimizer: keras.optimizers.Optimizer) -> float:
    """The learning rate, or what a schedule begins with."""
    rate = optimizer._learning_rate
    if isinstance(rate, _Following):
        return rate.first()
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        return float(tf.convert_to_tensor(rate(0)))
    return float(tf.convert_to_tensor(optimizer.learning_rate))


def _inner(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """The optimizer itself, without the scaling of losses around it."""
    scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    return optimizer.inner_optimizer if scaled else optimizer


def _has_schedule(optimizer: keras.optimizers.Optimizer) -> bool:
    schedule = keras.optimizers.schedules.LearningRateSchedule
    return isinstance(optimizer._learning_rate, schedule)
