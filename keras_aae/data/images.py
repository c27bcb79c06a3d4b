"""The scale of images: bytes from 0 to `WHITE`, or floats in [0, 1]."""

import numpy as np

WHITE = 255


def scaled(images: np.ndarray) -> np.ndarray:
    """Images as floats in [0, 1].

    Args:
        images: uint8, or floats in [0, 1], which stay as they are; of any shape.

    Returns:
        float32, or the dtype of the floats, of the same shape.
    """
    return images / np.float32(WHITE) if images.dtype == np.uint8 else images
