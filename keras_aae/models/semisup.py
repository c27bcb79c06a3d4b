"""The semi-supervised adversarial autoencoder (paper, section 5)."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_aae.models import categorical
from keras_aae.models import defaults
from keras_aae.models import latents
from keras_aae.models import phases


@keras.saving.register_keras_serializable("keras_aae")
class SemiSupervisedAAE(categorical.CategoricalAAE):
    """The encoder gives a class q(y|x) and a style z; few labels say which class is which.

    The losses are those of `categorical.CategoricalAAE`, and

        classification    min over encoder            -E log q(y|x) over labelled examples

    Args:
        input_shape: The shape of one example: (height, width, channels) or (features,).
        num_classes: The number of classes.
        classification_weight: Weight of the classification loss.
        pseudo_label_weight: Weight of the loss of `phases.PseudoLabels`, which is not the paper's.
            0, or without views: there is none.
        class_prior: Whether p(y) has equal shares (`uniform`, the paper's), or follows those that
            the encoder finds (`learned`; see `latents.LearnedCategorical`).
        extra_phases: See `autoencoder.Autoencoder`.
        **kwargs: As `categorical.CategoricalAAE`.

    Raises:
        ValueError: there are fewer than two classes, or no such prior.
    """

    labels = "few"
    prediction = "class"

    def __init__(
        self,
        input_shape: tuple[int, ...],
        *,
        num_classes: int = defaults.NUM_CLASSES,
        classification_weight: float = defaults.CLASSIFICATION_WEIGHT,
        pseudo_label_weight: float = defaults.PSEUDO_LABEL_WEIGHT,
        class_prior: str = defaults.CLASS_PRIOR,
        extra_phases: Sequence[phases.Phase] = (),
        **kwargs: Any,
    ):
        y = latents.classes(num_classes, class_prior)
        pseudo_labels = phases.PseudoLabels(y, pseudo_label_weight)
        super().__init__(
            input_shape,
            y,
            paired_phases=(pseudo_labels,) if pseudo_label_weight else (),
            extra_phases=(phases.Classification(y, classification_weight), *extra_phases),
            **kwargs,
        )
