"""Smooth random fields and soft shapes: what the phantoms are drawn with."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]


@lru_cache(maxsize=16)
def _band(shape: tuple[int, int], low: float, high: float) -> Field:
    """Return the transfer function of a soft band pass in cycles per pixel."""
    radius = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :])
    rise = 1 - np.exp(-((radius / low) ** 2)) if low else np.ones_like(radius)
    gain: Field = (rise * np.exp(-((radius / high) ** 2))).astype(np.float32)
    gain[0, 0] = 0
    return gain


def smooth_field(
    rng: np.random.Generator, shape: tuple[int, int], low: float, high: float
) -> Field:
    """Return Gaussian noise in a band of spatial frequency, mean 0, deviation 1, periodic.

    Parameters
    ----------
    shape
        Rows, columns.
    low, high
        Band in cycles per pixel; ``low`` 0 gives a low pass.
    """
    white = rng.standard_normal(shape, dtype=np.float32)
    field = np.fft.irfft2(np.fft.rfft2(white) * _band(shape, low, high), shape)
    result: Field = (field / field.std()).astype(np.float32)
    return result


class DriftingField:
    """A smooth field that changes steadily from slice to slice: a 3D texture for the price of 2D.

    Parameters
    ----------
    turn
        Length in mm along z over which the texture is another one.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        shape: tuple[int, int],
        band: tuple[float, float],
        turn: float,
    ) -> None:
        self._fields = [smooth_field(rng, shape, *band) for _ in range(4)]
        self._turn = turn

    def at(self, z: float) -> Field:
        """Return the field at height z in mm."""
        angle = z / self._turn * np.pi / 2
        a, b, c, d = self._fields
        mixed = np.cos(angle) * a + np.sin(angle) * b
        mixed += np.cos(1.618 * angle) * c + np.sin(1.618 * angle) * d
        result: Field = (mixed / np.sqrt(2)).astype(np.float32)
        return result


def inside(distance: npt.NDArray[np.floating], softness: float = 0.8) -> Field:
    """Return the share of each pixel that lies inside a signed distance in mm (inside < 0)."""
    result: Field = np.clip(0.5 - distance / (2 * softness), 0, 1).astype(np.float32)
    return result


def ellipse(
    x: Field, y: Field, centre: tuple[float, float], radii: tuple[float, float], power: float = 2
) -> Field:
    """Return a signed distance in mm, near enough at the edge, to a superellipse (inside < 0)."""
    a, b = radii
    if min(a, b) <= 0.5:
        return np.full(np.broadcast(x, y).shape, 1e3, np.float32)
    u, v = np.abs((x - centre[0]) / a), np.abs((y - centre[1]) / b)
    r = (u**power + v**power) ** np.float32(1 / power)
    result: Field = ((r - 1) * np.float32(min(a, b))).astype(np.float32)
    return result


def blend(image: Field, mask: Field, value: float | Field) -> None:
    """Lay a tissue of the given value over the image where the mask says so, in place."""
    image += mask * (value - image)
