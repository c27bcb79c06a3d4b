"""Update rules: how the phases of a minibatch become optimizer steps."""

import abc
from collections.abc import Sequence
from typing import Protocol

import tensorflow as tf

from keras_aae.models import latents
from keras_aae.models import phases as phases_lib


class Model(phases_lib.Model, Protocol):
    """What update rules see of a model: a part of `trainer.Trainer`, where it is described."""

    phases: tuple[phases_lib.Phase, ...]

    def training_code(self, batch: phases_lib.Batch) -> latents.Code:
        """The code of a batch."""

    def objective(
        self, phases: Sequence[phases_lib.Phase], batch: phases_lib.Batch, code: latents.Code
    ) -> tf.Tensor:
        """What an optimizer step minimises."""

    def scaled(self, step: str, objective: tf.Tensor) -> tf.Tensor:
        """The objective as the optimizer of a step wants it."""

    def apply(
        self,
        step: str,
        phases: Sequence[phases_lib.Phase],
        tape: tf.GradientTape,
        objective: tf.Tensor,
    ) -> None:
        """Takes an optimizer step."""


class UpdateRule(abc.ABC):
    """An order of optimizer steps."""

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
        steps = self.steps(model)
        with tf.GradientTape(persistent=True) as tape:
            code = model.training_code(batch)
            objectives = {name: model.objective(own, batch, code) for name, own in steps.items()}
            scaled = {name: model.scaled(name, value) for name, value in objectives.items()}
        for name, own in steps.items():
            model.apply(name, own, tape, scaled[name])


class SequentialUpdate(UpdateRule):
    """The paper's order (section 2): for each phase in turn a fresh pass and an optimizer."""

    def step_name(self, model: Model, phase: phases_lib.Phase) -> str:
        return phase.name

    def is_adversarial(self, step: str, step_phases: Sequence[phases_lib.Phase]) -> bool:
        return any(phase.adversarial for phase in step_phases)

    def __call__(self, model: Model, batch: phases_lib.Batch) -> None:
        for name, own in self.steps(model).items():
            part = batch._replace(seeds=batch.seeds.within(name))
            with tf.GradientTape() as tape:
                objective = model.objective(own, part, model.training_code(part))
                scaled = model.scaled(name, objective)
            model.apply(name, own, tape, scaled)


_RULES = {"joint": JointUpdate, "sequential": SequentialUpdate}


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
