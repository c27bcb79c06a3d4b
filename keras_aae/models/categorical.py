"""What the models share that give a class or cluster beside a style (paper, sections 5 to 7)."""

from collections.abc import Sequence
from typing import Any

from tensorflow_probability import distributions as tfd

from keras_aae.data import augmentation
from keras_aae.models import adversaries
from keras_aae.models import autoencoder
from keras_aae.models import defaults
from keras_aae.models import latents
from keras_aae.models import phases


class CategoricalAAE(autoencoder.Autoencoder):
    """The encoder gives a class or cluster q(y|x) and a style z.

        reconstruction      min over encoder, decoder   -E log p(x|y, z)
        discrimination      min over D_y, D_z           -E_p(y) log D_y(y) - E_q(y) log(1 - D_y(y))
                                                        -E_p(z) log D_z(z, y)
                                                        -E_q(z|y) log(1 - D_z(z, y))
        generation          min over encoder            -E_q(y) log D_y(y) - E_q(z|y) log D_z(z, y)
        sliced_wasserstein  min over encoder            SW(q(z), p(z)), not the paper's
        agreement           min over encoder            -I(y; y') of x and a view of x
        consistency         min over decoder            -E log q(y|x), x from p(x|y, z), p(y), p(z)

    The last two are not the paper's either; see `phases.Agreement` and `phases.ClassConsistency`.

    Args:
        input_shape: The shape of one example: (height, width, channels) or (features,).
        y: The discrete latent variable.
        paired_phases: Phases beside the agreement that compare examples with their views, where
            there are views.
        extra_phases: Phases after those above; see `autoencoder.Autoencoder`.
        style_adversary: Whether the style discriminator matches p(z) per class or cluster
            (`conditional`: it receives y) or in aggregate (`marginal`, the paper's).
        agreement_weight: Weight of the agreement. 0: there is none.
        consistency_weight: Weight of the consistency, which needs averaged weights. 0: there is
            none.
        views: Random changes of an example that keep its class: the name of some, see
            `augmentation.named`, or a function, see `autoencoder.Autoencoder`. What learns from
            labels sees them, too; where nothing does, none are made. `none` or None: there are
            none, and there is no agreement.
        style_size: As in `aae.AdversarialAutoencoder`, like all that follow.
        prior: See there.
        posterior: See there.
        discriminator_noise: See there.
        adversarial_weight: See there.
        sliced_weight: See there.
        reconstruction_weight: See there.
        **kwargs: As `autoencoder.Autoencoder`.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        y: latents.Categorical,
        *,
        paired_phases: Sequence[phases.Phase] = (),
        extra_phases: Sequence[phases.Phase] = (),
        style_adversary: str = defaults.STYLE_ADVERSARY,
        agreement_weight: float = defaults.AGREEMENT_WEIGHT,
        consistency_weight: float = defaults.CONSISTENCY_WEIGHT,
        views: str | augmentation.Views | None = "auto",
        style_size: int = defaults.STYLE_SIZE,
        prior: str | tfd.Distribution = defaults.PRIOR,
        posterior: str = defaults.POSTERIOR,
        discriminator_noise: float = defaults.DISCRIMINATOR_NOISE,
        adversarial_weight: float = defaults.ADVERSARIAL_WEIGHT,
        sliced_weight: float = defaults.SLICED_WEIGHT,
        reconstruction_weight: float = defaults.RECONSTRUCTION_WEIGHT,
        **kwargs: Any,
    ):
        z = latents.Style(style_size, prior, posterior)
        settings: dict[str, Any] = {"noise": discriminator_noise, "weight": adversarial_weight}
        of_style = settings | {"context": adversaries.style_context(style_adversary, y)}
        made = augmentation.named(views, input_shape) if isinstance(views, str) else views
        if agreement_weight:
            paired_phases = (phases.Agreement(y, agreement_weight), *paired_phases)
        if consistency_weight:
            extra_phases = (phases.ClassConsistency(y, consistency_weight), *extra_phases)
        if made:
            extra_phases = (*paired_phases, *extra_phases)
        # Phases that see whole batches see views: where there are none, none are made.
        seen = any(phase.whole_batch for phase in extra_phases)
        super().__init__(
            input_shape,
            (y, z),
            (
                phases.Reconstruction(reconstruction_weight),
                *adversaries.Adversary(y, **settings).phases,
                *adversaries.Adversary(z, sliced_weight=sliced_weight, **of_style).phases,
                *extra_phases,
            ),
            views=made if seen else None,
            **kwargs,
        )
