"""The supervised adversarial autoencoder (paper, section 4)."""

import tensorflow as tf

from keras_aae.models import aae
from keras_aae.models import priors as priors_lib


class SupervisedAAE(aae.AdversarialAutoencoder):
    """The decoder receives the class, one-hot, so the code is left with the style alone.

    With a `conditional` style adversary the discriminator receives it as well.

    Args:
        input_shape: The shape of one example: (height, width, channels) or (features,).
        num_classes: The number of classes.
        **kwargs: As `aae.AdversarialAutoencoder` and `base.PhasedAutoencoder`.

    Raises:
        ValueError: there are fewer than two classes.
    """

    uses_labels = True
    uses_unlabelled = False

    def __init__(self, input_shape: tuple[int, ...], *, num_classes: int = 10, **kwargs):
        classes = {"class_probabilities": priors_lib.categorical(num_classes)}
        super().__init__(input_shape, other_priors=classes, **kwargs)

    @property
    def inferred(self):
        """The style; the class is a condition."""
        return ("style",)

    def condition(self, labels):
        """{"class_probabilities": the labels, one-hot, [B, classes]}."""
        return {"class_probabilities": tf.one_hot(labels, self.parts["class_probabilities"])}
