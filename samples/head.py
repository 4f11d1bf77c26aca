"""A head as T1-weighted MR shows it: scalp, skull, folded cortex, white matter, ventricles.

Signal is in stored units (white matter about 800); z runs from 0 mm (base of the
brain) to 120 mm (vertex).  Folds are the zero lines of a drifting random field:
its value over its gradient is near enough the distance to the nearest sulcus.
"""

from __future__ import annotations

import numpy as np

from samples.canvas import Ball, Canvas, Tube
from samples.fields import DriftingField, Field, blend, ellipse, inside, smooth_field

HEIGHT = 120.0
SIZE = 256
SPACING = 230.0 / SIZE

AIR, BONE, FLUID, GREY, WHITE, FAT, MUSCLE, MARROW = 8, 45, 150, 540, 790, 1150, 430, 620
NOISE = 16.0

CEREBRUM = Ball((0, 2, 42), (66, 82, 74))
SKULL_MM, SCALP_MM = 6.5, 7.0
NUCLEI = (
    (Ball((-24, -6, 58), (9, 22, 17)), 600.0),  # lentiform
    (Ball((24, -6, 58), (9, 22, 17)), 600.0),
    (Ball((-11, 12, 58), (9, 14, 12)), 620.0),  # thalamus
    (Ball((11, 12, 58), (9, 14, 12)), 620.0),
    (Ball((-14, -22, 66), (6, 12, 16)), 560.0),  # caudate
    (Ball((14, -22, 66), (6, 12, 16)), 560.0),
)
VENTRICLES = (
    Tube((-6, -26, 68), (-8, 0, 76), 5),
    Tube((-8, 0, 76), (-16, 30, 70), 6),
    Tube((-16, 30, 70), (-20, 48, 60), 5),
    Tube((-16, 30, 70), (-30, 18, 42), 3.5),
    Tube((0, -4, 54), (0, 16, 60), 2.2),
)
POSTERIOR = Ball((0, 46, 14), (50, 32, 28))
STEM = Tube((0, 22, 34), (0, 28, -20), 12)


class Head:
    """One invented head.

    Parameters
    ----------
    rng
        Source of chance; the same one gives the same head.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        shape = (SIZE, SIZE)
        self._folds = DriftingField(rng, shape, (0.018, 0.032), 14)
        self._leaves = DriftingField(rng, shape, (0.05, 0.09), 10)
        self._coarse = DriftingField(rng, shape, (0.0, 0.02), 20)
        self._coil = 1 + 0.07 * smooth_field(rng, shape, 0.0, 0.004)
        self._rng = rng

    def slice(self, z: float) -> Field:
        """Return the slice at height z in mm, 256 x 256, signal with Rician noise."""
        canvas = Canvas(SIZE, SPACING, AIR)
        coarse = self._coarse.at(z)
        brain = self._shells(canvas, z, coarse)
        self._cortex(canvas, z, brain)
        _deep(canvas, z, inside(brain + 2))
        self._below(canvas, z, inside(brain))
        signal = canvas.image * self._coil
        noise = self._rng.normal(0, NOISE, (2, SIZE, SIZE))
        result: Field = np.hypot(signal + noise[0], noise[1]).astype(np.float32)
        return result

    def _shells(self, canvas: Canvas, z: float, coarse: Field) -> Field:
        """Draw scalp, skull and fluid; return the signed distance to the brain's surface."""
        height = max(z, 20.0)  # below its widest part the head is a column
        share = float(np.sqrt(max(0.0, 1 - ((height - 42) / 86) ** 2)))
        radii = (CEREBRUM.radii[0] * share, CEREBRUM.radii[1] * share)
        outer = ellipse(
            canvas.x, canvas.y, (0, 2), (radii[0] + 13.5 + 3 * (1 - share), radii[1] + 13.5), 2.2
        )
        blend(canvas.image, inside(outer - 1), 380.0)
        blend(canvas.image, inside(outer + 1.5), FAT + 40 * coarse)
        if z < 45:  # temporal muscle beside the skull
            head = inside(outer - 1)
            for side in (-1, 1):
                canvas.ellipse((side * (radii[0] + 8), -18), (3, 28), MUSCLE, within=head)
        skull = outer + SCALP_MM
        blend(canvas.image, inside(skull), BONE)
        blend(canvas.image, inside(np.abs(skull + SKULL_MM / 2) - 1.0 - 0.5 * coarse), MARROW * 0.8)
        blend(canvas.image, inside(skull + SKULL_MM), FLUID)
        return skull + SKULL_MM + 2.2

    def _cortex(self, canvas: Canvas, z: float, brain: Field) -> None:
        folds = self._folds.at(z)
        slope = np.hypot(*np.gradient(folds, SPACING)) + 0.02
        sulcus = np.abs(folds) / slope  # mm to the middle of the nearest fold
        deep = np.clip((-brain - 17) / 4, 0, 20)  # folds end within 20 mm of the surface
        fissure = np.abs(canvas.x + 0.6 * folds) + np.maximum(0, (24 - np.abs(canvas.y - 2)) * 0.2)
        gap = np.minimum(sulcus + deep, fissure)
        tissue = inside(brain)
        blend(canvas.image, tissue, GREY)
        depth = np.minimum(gap - 0.9, -brain)
        blend(canvas.image, tissue * inside(3.1 - depth, 0.7), WHITE)
        blend(canvas.image, tissue * inside(gap - 0.9, 0.7), FLUID)

    def _below(self, canvas: Canvas, z: float, brain: Field) -> None:
        """Draw cerebellum and brain stem, seen in the lowest slices."""
        if cut := POSTERIOR.at(z):
            leaves = self._leaves.at(z)
            slope = np.hypot(*np.gradient(leaves, SPACING)) + 0.05
            stripes = GREY + (WHITE - GREY) * inside(0.8 - np.abs(leaves) / slope, 0.5)
            canvas.ellipse(cut[0], (cut[1][0] + 2, cut[1][1] + 2), FLUID, within=brain)
            canvas.ellipse(*cut, stripes.astype(np.float32), within=brain)
        canvas.tube(STEM, z, FLUID, within=brain, grow=2.5)
        canvas.tube(STEM, z, WHITE - 70, within=brain)
        if z < 30:
            canvas.ellipse((0, 42), (6, 4), FLUID, within=brain)  # fourth ventricle


def _deep(canvas: Canvas, z: float, within: Field) -> None:
    """Draw nuclei, capsules and ventricles."""
    canvas.ball(Ball((0, 4, 60), (36, 40, 24)), z, WHITE, within=within, softness=3)
    for nucleus, value in NUCLEI:
        canvas.ball(nucleus, z, value, within=within, softness=1.6)
    for ventricle in VENTRICLES:
        mirrored = Tube(
            (-ventricle.start[0], *ventricle.start[1:]),
            (-ventricle.end[0], *ventricle.end[1:]),
            ventricle.radius,
        )
        for side in (ventricle, mirrored):
            canvas.tube(side, z, FLUID, within=within)
