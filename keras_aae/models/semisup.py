"""The semi-supervised adversarial autoencoder (paper, section 5)."""

import tensorflow as tf

from keras_aae.models import autoencoder
from keras_aae.models import base
from keras_aae.models import categorical
from keras_aae.models import losses


class SemiSupervisedAAE(categorical.CategoricalAAE):
    """The encoder gives a class q(y|x) and a style z; few labels say which class is which.

    A third phase minimises the cross-entropy of q(y|x) on the labelled examples of the minibatch.

    Args:
        input_shape: The shape of one example: (height, width, channels) or (features,).
        num_classes: The number of classes.
        classification_weight: Weight of the classification loss.
        **kwargs: As `categorical.CategoricalAAE`.

    Raises:
        ValueError: there are fewer than two classes.
    """

    uses_labels = True
    tells = "class"

    def __init__(
        self,
        input_shape: tuple[int, ...],
        *,
        num_classes: int = 10,
        classification_weight: float = 1.0,
        **kwargs,
    ):
        super().__init__(input_shape, num_classes, **kwargs)
        self.num_classes = num_classes
        self.classification_weight = classification_weight

    @property
    def phases(self) -> tuple[base.Phase, ...]:
        classification = base.Phase(
            "classification", self.classification, (self.encoder,), self.classification_weight
        )
        return (*super().phases, classification)

    def classification(self, batch: base.Batch, code: autoencoder.Code) -> tf.Tensor:
        """Classification phase (paper, section 5): cross-entropy on labelled examples."""
        return losses.classification(batch.y, code["class_logits"])
