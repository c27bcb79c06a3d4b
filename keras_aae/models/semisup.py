"""The semi-supervised adversarial autoencoder (paper, section 5)."""

import tensorflow as tf

from keras_aae import losses
from keras_aae import priors as priors_lib
from keras_aae.models import aae
from keras_aae.models import autoencoder
from keras_aae.models import base


class SemiSupervisedAAE(aae.AdversarialAutoencoder):
    """The encoder gives a class q(y|x) and a style z; few labels say which class is which.

    One adversary makes y look like samples of a categorical distribution, another makes z Gaussian,
    and a third phase minimises the cross-entropy of q(y|x) on the labelled examples of the
    minibatch.

    Args:
        input_shape: The shape of one example: (height, width, channels) or (features,).
        num_classes: The number of classes.
        classification_weight: Weight of the classification loss.
        **kwargs: As `aae.AdversarialAutoencoder` and `base.PhasedAutoencoder`.

    Raises:
        ValueError: there are fewer than two classes.
    """

    uses_labels = True
    classifies = True

    def __init__(
        self,
        input_shape: tuple[int, ...],
        *,
        num_classes: int = 10,
        classification_weight: float = 1.0,
        **kwargs,
    ):
        classes = {"class_probabilities": priors_lib.categorical(num_classes)}
        super().__init__(input_shape, other_priors=classes, **kwargs)
        self.num_classes = num_classes
        self.classification_weight = classification_weight

    @property
    def phases(self) -> tuple[base.Phase, ...]:
        classification = base.Phase(
            "classification", self.classification, (self.encoder,), self.classification_weight
        )
        return (*super().phases, classification)

    @property
    def heads(self):
        """As in the base, with the logits of the class probabilities in their place."""
        heads = dict(super().heads)
        return {"class_logits": heads.pop("class_probabilities"), **heads}

    def to_code(self, outputs, seeds=None):
        """Adds `class_probabilities`, q(y|x) [B, classes], to the logits and the style."""
        code = super().to_code(outputs, seeds)
        return {"class_probabilities": tf.nn.softmax(outputs["class_logits"]), **code}

    def classification(self, batch: base.Batch, code: autoencoder.Code) -> tf.Tensor:
        """Classification phase (paper, section 5): cross-entropy on labelled examples."""
        return losses.classification(batch.y, code["class_logits"])

    def class_probabilities(self, code):
        """q(y|x) [B, classes]."""
        return code["class_probabilities"]
