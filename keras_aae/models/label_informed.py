"""The adversarial autoencoder whose prior is informed by labels (paper, section 2.3)."""

from typing import Any

import keras
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from keras_aae.models import adversaries
from keras_aae.models import autoencoder
from keras_aae.models import defaults
from keras_aae.models import latents
from keras_aae.models import phases


class _Adversary(adversaries.Adversary):
    """The discriminator also receives the label, one-hot, with one more class for 'unlabelled'.

    With a label it compares codes with samples of that class's component of the prior, without one
    with samples of the whole prior.

    Args:
        latent: The style, whose prior is a mixture.
        num_classes: The number of its components.
        **kwargs: As `adversaries.Adversary`.
    """

    whole_batch = True

    def __init__(self, latent: latents.Latent, num_classes: int, **kwargs: Any):
        super().__init__(latent, **kwargs)
        self._num_classes = num_classes

    @property
    def context_size(self) -> int:
        return self._num_classes + 1

    def context(self, model: phases.Model, batch: phases.Batch, code: latents.Code) -> tf.Tensor:
        del model, code
        labels = tf.where(batch.y >= 0, batch.y, self._num_classes)
        return tf.one_hot(labels, self.context_size)

    def sample(self, batch: phases.Batch) -> tf.Tensor:
        whole = super().sample(batch)
        name, mixture = self.latent.name, self.latent.prior
        each = mixture.components_distribution.sample(
            tf.shape(batch.y)[0], seed=batch.seeds(f"{name} prior of the class")
        )
        own = tf.gather(each, tf.maximum(batch.y, 0), axis=1, batch_dims=1)
        return tf.where((batch.y >= 0)[:, None], own, whole)


@keras.saving.register_keras_serializable("keras_aae")
class LabelInformedAAE(autoencoder.Autoencoder):
    """Each class is led to a component p(z|k) of its own of a mixture prior.

        reconstruction      min over encoder, decoder   -E log p(x|z)
        discrimination      min over D                  -E_p(z|k) log D(z, k)
                                                        -E_q(z|k) log(1 - D(z, k))
        generation          min over encoder            -E_q(z|k) log D(z, k)
        sliced_wasserstein  min over encoder            SW(q(z), p(z)), not the paper's

    where k is the label, or 'unlabelled' for the whole prior. A code is of the class whose
    component it most probably came from.

    Args:
        input_shape: The shape of one example: (height, width, channels) or (features,).
        num_classes: The number of classes.
        style_size: As in `aae.AdversarialAutoencoder`, like all that follow.
        prior: See there; a mixture with a component for each class.
        posterior: See there.
        discriminator_noise: See there.
        adversarial_weight: See there.
        sliced_weight: See there.
        reconstruction_weight: See there.
        **kwargs: As `autoencoder.Autoencoder`.

    Raises:
        ValueError: the prior is not such a mixture.
    """

    labels = "few"
    prediction = "class"

    def __init__(
        self,
        input_shape: tuple[int, ...],
        *,
        num_classes: int = defaults.NUM_CLASSES,
        style_size: int = 2,
        prior: str | tfd.Distribution = "gaussian_mixture",
        posterior: str = defaults.POSTERIOR,
        discriminator_noise: float = defaults.DISCRIMINATOR_NOISE,
        adversarial_weight: float = defaults.ADVERSARIAL_WEIGHT,
        sliced_weight: float = defaults.SLICED_WEIGHT,
        reconstruction_weight: float = defaults.RECONSTRUCTION_WEIGHT,
        **kwargs: Any,
    ):
        z = latents.Style(style_size, prior, posterior)
        _check_mixture(z.prior, num_classes)
        adversary = _Adversary(
            z,
            num_classes,
            noise=discriminator_noise,
            weight=adversarial_weight,
            sliced_weight=sliced_weight,
        )
        self._num_classes = num_classes
        super().__init__(
            input_shape,
            (z,),
            (phases.Reconstruction(reconstruction_weight), *adversary.phases),
            **kwargs,
        )

    @property
    def num_predicted(self) -> int:
        return self._num_classes

    def class_logits(self, code: latents.Code) -> tf.Tensor:
        """Logits, log p(z|k) + log p(k) of the component k of each class, float32 [B, classes].

        Up to a constant, by which the largest log p(k) is 0.
        """
        mixture = self.priors["style"]
        density = mixture.components_distribution.log_prob(code["style"][:, None])
        weights = tf.cast(mixture.mixture_distribution.logits_parameter(), density.dtype)
        return density + (weights - tf.reduce_max(weights))


def _check_mixture(prior: tfd.Distribution, num_classes: int) -> None:
    mixture = isinstance(prior, tfd.MixtureSameFamily)
    if not mixture or prior.components_distribution.batch_shape != [num_classes]:
        raise ValueError(
            f"Expected a mixture prior of {num_classes} components, one for each class, like "
            f"prior='gaussian_mixture' for 10 classes. Received: {prior}"
        )
