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


def flat(images: np.ndarray) -> np.ndarray:
    """Images [N, H, W, C], uint8 or in [0, 1], as float32 [N, H * W * C] in [0, 1]."""
    return scaled(images.reshape(len(images), -1)).astype(np.float32, copy=False)
