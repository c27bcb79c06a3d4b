"""The adversarial autoencoder whose prior is informed by labels (paper, section 2.3)."""

import tensorflow as tf
import tensorflow_probability as tfp

from keras_aae.models import aae

tfd = tfp.distributions


class LabelInformedAAE(aae.AdversarialAutoencoder):
    """Each class is led to a component of its own of a mixture prior.

    The discriminator also receives a label, one-hot, with one more class for 'unlabelled'. With a
    label it compares the code with samples of that class's component, without one with samples of
    the whole prior.

    Args:
        input_shape: The shape of one example: (height, width, channels) or (features,).
        num_classes: The number of classes.
        **kwargs: As `aae.AdversarialAutoencoder` and `base.PhasedAutoencoder`; the prior is a
            mixture with a component for each class.

    Raises:
        ValueError: the prior is not such a mixture.
    """

    uses_labels = True
    tells = "class"

    def __init__(self, input_shape: tuple[int, ...], *, num_classes: int = 10, **kwargs):
        self.num_classes = num_classes
        super().__init__(input_shape, **kwargs)
        prior = self.priors["style"]
        components = prior.components_distribution.batch_shape if _is_mixture(prior) else None
        if components != [num_classes]:
            raise ValueError(
                f"Expected a mixture prior of {num_classes} components, one for each class, like "
                f"prior='gaussian_mixture' for 10 classes. Received: {prior}"
            )

    def sample_for(self, name, batch):
        """A sample of each labelled example's own component, of the whole prior for the others."""
        mixture = self.priors[name]
        count = tf.shape(batch.y)[0]
        whole = mixture.sample(count, seed=batch.seeds(f"{name} prior"))
        each = mixture.components_distribution.sample(
            count, seed=batch.seeds(f"{name} prior of the class")
        )
        own = tf.gather(each, tf.maximum(batch.y, 0), axis=1, batch_dims=1)
        return tf.where((batch.y >= 0)[:, None], own, whole)

    def given_size(self, name):
        """The classes and 'unlabelled'."""
        return self.num_classes + 1

    def given(self, name, batch, code):
        """The label, one-hot, with one more class for 'unlabelled', [B, classes + 1]."""
        labels = tf.where(batch.y >= 0, batch.y, self.num_classes)
        return tf.one_hot(labels, self.num_classes + 1)

    def probabilities(self, code):
        """The probability that the code came from each class's component, [B, classes]."""
        mixture = self.priors["style"]
        log_probs = mixture.components_distribution.log_prob(code["style"][:, None])
        return tf.nn.softmax(log_probs)


def _is_mixture(prior):
    return isinstance(prior, tfd.MixtureSameFamily)
