"""The names and default values that flags, settings and constructors share; imports no TensorFlow.

A constructor's argument and the setting of the same name in `config.Config` have one default: the
one that stands here. Where a variant's is another, `models.VARIANTS` names it.
"""

PRIORS = ("gaussian", "gaussian_mixture", "swiss_roll", "uniform")
POSTERIORS = ("deterministic", "gaussian", "universal")
NETWORKS = ("auto", "conv", "mlp", "resnet", "wide_resnet")
VIEWS = ("auto", "digits", "photos", "none")
UPDATE_RULES = ("joint", "sequential")
STYLE_ADVERSARIES = ("conditional", "marginal")
CLASS_PRIORS = ("uniform", "learned")
PIXEL_LOSSES = ("cross_entropy", "squared_error")

STYLE_SIZE = 10
PRIOR = "gaussian"
POSTERIOR = "deterministic"
NETWORK = "auto"
NUM_CLASSES = 10
NUM_CLUSTERS = 16
HEAD_DISTANCE = 6.0
UPDATE_RULE = "joint"
STYLE_ADVERSARY = "conditional"
CLASS_PRIOR = "uniform"
PIXEL_LOSS = "cross_entropy"
INPUT_NOISE = 0.0
DISCRIMINATOR_NOISE = 0.2
AVERAGE = 0.995
LEARNING_RATE = 1e-3
MOMENTUM = 0.5  # Adam's beta_1: adversarial training oscillates with more.
RECONSTRUCTION_WEIGHT = 3.0
ADVERSARIAL_WEIGHT = 1.0
SLICED_WEIGHT = 1.0
CLASSIFICATION_WEIGHT = 1.0
AGREEMENT_WEIGHT = 1.0
PSEUDO_LABEL_WEIGHT = 0.0
CONSISTENCY_WEIGHT = 0.0
