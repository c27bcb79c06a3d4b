"""The semi-supervised adversarial autoencoder (paper, section 5)."""

import tensorflow as tf

from keras_aae import losses
from keras_aae import priors as priors_lib
from keras_aae.models import aae
from keras_aae.models import base


class SemiSupervisedAAE(aae.AdversarialAutoencoder):
    """The encoder gives a class q(y|x) and a style z; few labels say which class is which.

    One adversary makes y look like samples of a categorical distribution, another makes z Gaussian, and a third phase
    minimises the cross-entropy of q(y|x) on the labelled examples of the minibatch.

    Args:
        input_shape: The shape of one example: (height, width, channels) or (features,).
        num_classes: The number of classes.
        style_size: Dimensions of the style code z.
        classification_weight: Weight of the classification loss.
        **kwargs: As `aae.AdversarialAutoencoder` and `base.Autoencoder`.

    Raises:
        ValueError: there are fewer than two classes.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        *,
        num_classes: int = 10,
        style_size: int = 10,
        classification_weight: float = 1.0,
        **kwargs,
    ):
        if num_classes < 2:
            raise ValueError(f"Expected num_classes of at least 2. Received: num_classes={num_classes}")
        priors = {"class": priors_lib.categorical(num_classes), "style": priors_lib.gaussian(style_size)}
        super().__init__(input_shape, priors=priors, **kwargs)
        self.num_classes = num_classes
        self.classification_weight = classification_weight

    @property
    def phases(self) -> tuple[base.Phase, ...]:
        classification = base.Phase(
            "classification", self.classification, (self.encoder,), self.classification_weight
        )
        return (*super().phases, classification)

    def to_code(self, outputs):
        """{"class": probabilities [B, classes], "style": z [B, size], "class_logits": [B, classes]}."""
        return {
            "class": tf.nn.softmax(outputs["class"]),
            "style": outputs["style"],
            "class_logits": outputs["class"],
        }

    def classification(self, batch: base.Batch, code: base.Code) -> tf.Tensor:
        """Semi-supervised classification phase: cross-entropy of q(y|x) on labelled examples (paper, section 5)."""
        return losses.classification(batch.y, code["class_logits"])
