"""What a step of ours would take if it were nothing but its arithmetic and its memory traffic.

That is its multiply-adds at the rate at which the machine multiplies matrices of a hidden layer,
and the bytes that Adam and the averaged weights move at the rate at which it adds long vectors.
Both rates are measured in each round.
"""

from collections.abc import Callable
import itertools
import time

import tensorflow as tf

from benchmarks import cases

_REPEATS = 50
_LONG = 16_000_000  # Values: more than any cache holds.
_ADAM, _AVERAGE = 7, 3  # Values read and written for each parameter.


def step(case: cases.Case) -> Callable[[int], float]:
    """The joint update of a dense model."""
    rows, labelled = case.flags["batch_size"], case.flags.get("labelled_batch_size", 0)
    classes, style = case.classes, case.flags["style_size"]
    hidden = (cases.WIDTH, cases.WIDTH)
    encoder = (784, *hidden, classes + style)
    decoder = (classes + style, *hidden, 784)
    discriminators = [(size, *hidden, 1) for size in (classes, style) if size]
    products = multiply_adds(encoder, rows + labelled) + multiply_adds(decoder, rows, inputs=True)
    for each in discriminators:
        products += multiply_adds(each, 2 * rows) + multiply_adds(
            each, rows, weights=False, inputs=True
        )
    averaged = parameters(encoder) + parameters(decoder)
    trained = averaged + sum(map(parameters, discriminators))
    moved = 4 * (_ADAM * trained + _AVERAGE * averaged)

    def seconds(steps: int) -> float:
        return steps * (products / _product_rate(rows) + moved / _memory_rate())

    return seconds


def multiply_adds(
    sizes: tuple[int, ...], rows: int, weights: bool = True, inputs: bool = False
) -> int:
    """The multiply-adds of dense layers, forward and backward.

    Args:
        sizes: Of the input and of each layer.
        rows: Of the batch.
        weights: Whether there are gradients for the weights.
        inputs: Whether there is one for the input.
    """
    layers = [a * b for a, b in itertools.pairwise(sizes)]
    passes = 1 + weights
    return rows * (passes * sum(layers) + sum(layers if inputs else layers[1:]))


def parameters(sizes: tuple[int, ...]) -> int:
    """Weights and biases of dense layers, by the sizes of the input and of each layer."""
    return sum((a + 1) * b for a, b in itertools.pairwise(sizes))


def _product_rate(rows: int) -> float:
    """Multiply-adds a second."""
    width = cases.WIDTH
    a, b = tf.random.normal([rows, width]), tf.random.normal([width, width])
    return rows * width * width / _best(lambda: tf.matmul(a, b))


def _memory_rate() -> float:
    """Bytes a second, read and written."""
    a, b = tf.ones([_LONG]), tf.ones([_LONG])
    return 3 * 4 * _LONG / _best(lambda: a + b)


def _best(call: Callable[[], tf.Tensor]) -> float:
    """The seconds of the fastest of some calls."""
    times = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)
