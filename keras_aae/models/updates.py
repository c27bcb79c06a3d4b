"""Update rules: how the phases of a minibatch become optimizer steps."""

import abc
from collections.abc import Callable
from collections.abc import Sequence
from typing import Protocol

import keras
import tensorflow as tf

from keras_aae.models import latents
from keras_aae.models import phases as phases_lib


class Model(phases_lib.Model, Protocol):
    """What update rules see of a model: a part of `trainer.Trainer`, where it is described."""

    phases: tuple[phases_lib.Phase, ...]
    optimizers: dict[str, keras.optimizers.Optimizer]

    def tracked_losses(
        self, phases: Sequence[phases_lib.Phase], batch: phases_lib.Batch, code: latents.Code
    ) -> list[tf.Tensor]:
        """The mean loss of each phase, which its running mean takes in."""


_RULES: dict[str, type["UpdateRule"]] = {}


def register(name: str) -> Callable[[type["UpdateRule"]], type["UpdateRule"]]:
    """A decorator that gives an update rule a name, for `update_rule=`."""

    def registered(rule: type["UpdateRule"]) -> type["UpdateRule"]:
        _RULES[name] = rule
        return rule

    return registered


class UpdateRule(abc.ABC):
    """Which optimizer steps a minibatch is, and how each is taken.

    A rule of one's own is a subclass that `register` names.
    """

    def steps(self, model: Model) -> dict[str, list[phases_lib.Phase]]:
        """The phases of each optimizer step, by the step's name and in order."""
        steps: dict[str, list[phases_lib.Phase]] = {}
        for phase in model.phases:
            steps.setdefault(self.step_name(model, phase), []).append(phase)
        return steps

    @abc.abstractmethod
    def step_name(self, model: Model, phase: phases_lib.Phase) -> str:
        """The name of the optimizer step that a phase belongs to."""

    @abc.abstractmethod
    def is_adversarial(self, step: str, step_phases: Sequence[phases_lib.Phase]) -> bool:
        """Whether a step is the adversarial optimizer's."""

    @abc.abstractmethod
    def __call__(self, model: Model, batch: phases_lib.Batch) -> None:
        """Trains a model on a minibatch."""

    def objective(
        self, model: Model, step: str, batch: phases_lib.Batch, code: latents.Code
    ) -> tf.Tensor:
        """What an optimizer step minimises: the weighted sum of its phases' losses.

        It is divided by the number of replicas, since optimizers add the gradients of all up, and
        scaled as the step's optimizer wants it for float16.
        """
        phases = self.steps(model)[step]
        losses = model.tracked_losses(phases, batch, code)
        total = sum(phase.weight * loss for phase, loss in zip(phases, losses, strict=True))
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        return model.optimizers[step].scale_loss(total / replicas)

    def apply(self, model: Model, step: str, tape: tf.GradientTape, objective: tf.Tensor) -> None:
        """Takes an optimizer step on the networks that its phases train."""
        variables = phases_lib.variables(self.steps(model)[step], model)
        gradients = tape.gradient(objective, variables)
        # A loss need not reach every encoder output; tape.gradient can't give zeros for a mirrored
        # variable by itself.
        gradients = [
            tf.zeros_like(variable) if gradient is None else gradient
            for gradient, variable in zip(gradients, variables, strict=True)
        ]
        model.optimizers[step].apply(gradients, variables)


@register("joint")
class JointUpdate(UpdateRule):
    """One pass of the encoder for all phases.

    The autoencoder takes one step on the weighted sum of its losses and the discriminators one on
    theirs, both from the weights as they were before.
    """

    def step_name(self, model: Model, phase: phases_lib.Phase) -> str:
        own = (model.encoder, model.decoder)
        trained = phase.networks(model)
        return "autoencoder" if any(network in own for network in trained) else "adversary"

    def is_adversarial(self, step: str, step_phases: Sequence[phases_lib.Phase]) -> bool:
        return step == "adversary"

    def __call__(self, model: Model, batch: phases_lib.Batch) -> None:
        with tf.GradientTape(persistent=True) as tape:
            code = model.training_code(batch)
            objectives = {
                step: self.objective(model, step, batch, code) for step in self.steps(model)
            }
        for step, objective in objectives.items():
            self.apply(model, step, tape, objective)


@register("sequential")
class SequentialUpdate(UpdateRule):
    """The paper's order (section 2): for each phase in turn a fresh pass and an optimizer."""

    def step_name(self, model: Model, phase: phases_lib.Phase) -> str:
        return phase.name

    def is_adversarial(self, step: str, step_phases: Sequence[phases_lib.Phase]) -> bool:
        return any(phase.adversarial for phase in step_phases)

    def __call__(self, model: Model, batch: phases_lib.Batch) -> None:
        for step, own in self.steps(model).items():
            part = batch._replace(seeds=batch.seeds.within(step))
            if not any(phase.whole_batch for phase in own):
                part = part.plain()
            with tf.GradientTape() as tape:
                objective = self.objective(model, step, part, model.training_code(part))
            self.apply(model, step, tape, objective)


def get(name: str) -> UpdateRule:
    """The update rule of that name.

    Raises:
        ValueError: there is none.
    """
    if name not in _RULES:
        raise ValueError(
            f"Expected update_rule to be one of {tuple(_RULES)}. Received: update_rule={name!r}"
        )
    return _RULES[name]()
