"""What a model is worth, in numbers, on examples that it was not trained on."""

from keras_aae.evaluation.evaluator import Evaluator
from keras_aae.evaluation.evaluator import clustering_scores
from keras_aae.evaluation.evaluator import majority_labels
from keras_aae.evaluation.evaluator import text

__all__ = ["Evaluator", "clustering_scores", "majority_labels", "text"]
