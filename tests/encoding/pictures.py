"""Small image files for tests."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def encoded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    """Return an image file of uint8 pixels (height, width) or (height, width, 3)."""
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, kind)
    return file.getvalue()


def pattern(number: int, height: int = 4, width: int = 5) -> np.ndarray:
    """Return pixels that follow from a number."""
    return (np.arange(height * width).reshape(height, width) * 3 + number) % 256
