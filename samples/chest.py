"""A chest in Hounsfield units, drawn slice by slice: lungs, heart, vessels, ribs, spine.

Nothing is measured from a person; shapes are ellipsoids and tubes whose sizes vary
with the seed.  z runs from 0 mm (upper abdomen) to 300 mm (thoracic inlet).
"""

from __future__ import annotations

import numpy as np

from samples.canvas import Ball, Canvas, Space, Tube
from samples.fields import DriftingField, Field, blend, ellipse, inside

HEIGHT = 300.0
SIZE = 512
SPACING = 380.0 / SIZE

AIR, LUNG, FAT, MUSCLE, CARTILAGE = -1000.0, -865.0, -98.0, 52.0, 95.0
BLOOD, LIVER, SPLEEN, MARROW, CORTEX = 235.0, 112.0, 128.0, 190.0, 780.0

HEART = Ball((22, -24, 95), (64, 50, 66))
CHAMBERS = (
    (Ball((44, -14, 86), (25, 21, 36)), 228.0),  # left ventricle
    (Ball((2, -42, 88), (31, 15, 33)), 196.0),  # right ventricle
    (Ball((-28, -16, 98), (17, 23, 32)), 202.0),  # right atrium
    (Ball((8, 10, 134), (34, 17, 20)), 232.0),  # left atrium
)
RIGHT_DOME = Ball((-58, 6, 5), (80, 86, 74))
LEFT_DOME = Ball((66, 10, 0), (68, 80, 60))
GREAT_VESSELS = (
    Tube((21, 42, -20), (21, 41, 212), 11.5),  # descending aorta
    Tube((21, 41, 212), (12, 18, 226), 12.5),
    Tube((12, 18, 226), (-8, -10, 222), 13),  # arch
    Tube((-8, -10, 222), (-19, -20, 205), 14),
    Tube((-19, -20, 205), (-16, -20, 138), 15),  # ascending aorta
    Tube((-34, -6, 140), (-28, -10, 262), 8.5),  # superior vena cava
    Tube((-26, 6, -20), (-28, 2, 80), 12),  # inferior vena cava
    Tube((14, -34, 125), (12, -22, 166), 13),  # pulmonary trunk
    Tube((10, -16, 168), (-44, 6, 164), 9.5),
    Tube((14, -18, 172), (46, 14, 174), 10),
    Tube((-8, -14, 228), (-14, -6, 300), 6),  # brachiocephalic
    Tube((4, 4, 230), (10, 0, 300), 4.5),  # left carotid
    Tube((14, 18, 230), (26, 14, 300), 5),  # left subclavian
    Tube((28, 12, 140), (54, 20, 134), 6),  # pulmonary veins
    Tube((-14, 12, 140), (-50, 18, 134), 6),
)
AIRWAYS = (
    Tube((0, 10, 310), (0, 14, 196), 8.5),
    Tube((0, 14, 196), (-40, 16, 164), 6.5),
    Tube((0, 14, 196), (42, 20, 160), 5.8),
    Tube((-40, 16, 164), (-58, 24, 120), 4.2),
    Tube((42, 20, 160), (60, 28, 115), 4.0),
    Tube((-40, 16, 164), (-56, -4, 205), 3.4),
    Tube((42, 20, 160), (56, -2, 205), 3.4),
)
SHOULDER = (
    Tube((88, 74, 150), (96, 80, 290), 3),
    Tube((92, 76, 150), (122, 58, 290), 3.2),
    Tube((104, 72, 190), (134, 44, 296), 4),
    Tube((22, -54, 284), (120, -18, 300), 5.5),
)


class Chest:
    """One invented chest.

    Parameters
    ----------
    rng
        Source of chance; the same one gives the same chest.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        shape = (SIZE, SIZE)
        self._girth = float(rng.uniform(0.95, 1.03))
        self._rib_phase = float(rng.uniform(0, 27))
        self._coarse = DriftingField(rng, shape, (0.004, 0.02), 25)
        self._fine = DriftingField(rng, shape, (0.02, 0.09), 8)
        self._vessels = [*_tree(rng, -1), *_tree(rng, 1)]
        self._noise_rng = rng

    def slice(self, z: float) -> Field:
        """Return the slice at height z in mm, 512 x 512, Hounsfield units with noise."""
        canvas = Canvas(SIZE, SPACING, AIR)
        coarse, fine = self._coarse.at(z), self._fine.at(z)
        cage = self._wall(canvas, z, coarse)
        lung = self._lungs(canvas, z, cage, coarse, fine)
        self._abdomen(canvas, z, cage, coarse, fine)
        self._mediastinum(canvas, z)
        for vessel, value in self._vessels:
            canvas.tube(vessel, z, value, within=lung)
        self._airways(canvas, z)
        _spine(canvas, z, fine)
        _table(canvas)
        return self._noisy(canvas)

    def _wall(self, canvas: Canvas, z: float, coarse: Field) -> Field:
        """Draw skin, fat, muscle, ribs, sternum; return the signed distance to the cage."""
        t = z / HEIGHT
        girth = self._girth
        wide = float(np.interp(t, [0, 0.4, 0.8, 1], [152, 164, 168, 160])) * girth
        deep = float(np.interp(t, [0, 0.4, 0.8, 1], [112, 116, 113, 110])) * girth
        body = ellipse(canvas.x, canvas.y, (0, 4), (wide, deep), 2.5)
        blend(canvas.image, inside(body), 15.0)  # skin
        blend(canvas.image, inside(body + 2), FAT + 6 * coarse)
        sides = 6 * np.abs(canvas.x) / 150
        muscle = inside(body + 13 + sides + 2 * coarse) * inside(0.12 - np.abs(coarse), 0.08)
        blend(canvas.image, muscle, MUSCLE + 5 * coarse)
        cage_radii = (
            float(np.interp(t, [0, 0.3, 0.6, 0.85, 1], [122, 128, 120, 92, 56])) * girth,
            float(np.interp(t, [0, 0.3, 0.6, 0.85, 1], [80, 86, 82, 64, 42])) * girth,
        )
        cage = ellipse(canvas.x, canvas.y, (0, -2), cage_radii, 2.2)
        blend(canvas.image, inside(cage - 11), MUSCLE)
        self._ribs(canvas, z, cage)
        front = -2 - cage_radii[1] - 4
        canvas.ellipse((0, front), (19, 6.5), CORTEX * 0.5)
        canvas.ellipse((0, front), (17.5, 5), MARROW * 0.6)
        for tube in SHOULDER:
            for piece in (tube, _mirrored(tube)):
                canvas.tube(piece, z, CORTEX * 0.8)
                if tube.radius > 3.5:
                    canvas.tube(piece, z, MARROW, grow=-1.6)
        return cage

    def _ribs(self, canvas: Canvas, z: float, cage: Field) -> None:
        around = np.abs(np.arctan2(canvas.x, canvas.y)) / np.float32(np.pi)  # 0 back, 1 front
        period = 27.0
        height = (z + 85 * around + self._rib_phase) / period
        rise = (height - np.floor(height) - 0.5) * period
        ring = np.hypot((cage - 6) / 4.2, rise / 7.0)
        bone = inside((ring - 1) * 4.2)
        cartilage = inside(around - 0.86, 0.02)  # the share that is bone and not cartilage
        blend(canvas.image, bone, CARTILAGE + (CORTEX - CARTILAGE) * cartilage)
        blend(canvas.image, inside((ring - 0.62) * 4.2), CARTILAGE + 60 + 60 * cartilage)

    def _lungs(self, canvas: Canvas, z: float, cage: Field, coarse: Field, fine: Field) -> Field:
        """Fill the cage with lung, the middle with fat; return the share that is lung."""
        middle = ellipse(canvas.x, canvas.y, (0, 0), (24 + 6 * z / HEIGHT, 95), 3)
        heart = HEART.at(z)
        if heart:
            middle = np.minimum(middle, ellipse(canvas.x, canvas.y, heart[0], heart[1]) - 4)
        back = ellipse(canvas.x, canvas.y, (0, 70), (30, 26))
        middle = np.minimum(middle, back) + 3 * coarse
        within = inside(cage + 2)
        blend(canvas.image, within, FAT + 8 * coarse)
        lung = within * inside(-middle)
        dependent = LUNG + 35 * canvas.y / 90 + 12 * coarse + 16 * fine
        blend(canvas.image, lung, dependent.astype(np.float32))
        self._fissures(canvas, z, lung)
        return lung

    @staticmethod
    def _fissures(canvas: Canvas, z: float, lung: Field) -> None:
        plane = np.abs(canvas.y - (60 - 0.62 * (z - 60)) + 0.05 * np.abs(canvas.x))
        blend(canvas.image, lung * inside(plane - 0.2, 0.7) * 0.35, -600.0)

    def _abdomen(self, canvas: Canvas, z: float, cage: Field, coarse: Field, fine: Field) -> None:
        within = inside(cage + 2)
        canvas.ball(LEFT_DOME, z, FAT + 8 * coarse, within=within)
        canvas.ball(Ball((88, 44, 0), (34, 32, 52)), z, SPLEEN + 4 * fine, within=within)
        canvas.ball(Ball((52, -20, 0), (44, 44, 46)), z, MUSCLE, within=within)
        canvas.ball(Ball((52, -20, 0), (40, 40, 42)), z, 12 + 4 * coarse, within=within)
        if z < 40:
            gas = within * inside(canvas.y + 30, 0.5)  # gas lies above fluid: a level
            canvas.ball(Ball((52, -20, 0), (40, 40, 42)), z, -960.0, within=gas)
        canvas.ball(RIGHT_DOME, z, LIVER + 5 * fine, within=within)
        for angle in (-0.6, 0.1, 0.9):  # hepatic veins run to the inferior vena cava
            end = (-28 - 55 * float(np.cos(angle)), 2 - 55 * float(np.sin(angle)), 8.0)
            canvas.tube(Tube((-27, 4, 52), end, 4), z, 165.0, within=within)

    @staticmethod
    def _mediastinum(canvas: Canvas, z: float) -> None:
        canvas.ball(HEART, z, 108.0)
        for chamber, value in CHAMBERS:
            canvas.ball(chamber, z, value, softness=1.5)
        for vessel in GREAT_VESSELS:
            canvas.tube(vessel, z, MUSCLE, grow=1.2)
        for vessel in GREAT_VESSELS:
            canvas.tube(vessel, z, BLOOD)
        canvas.ellipse((8, 33), (8, 5.5), 38.0)  # oesophagus
        if z > 268:
            for side in (-1, 1):
                canvas.ellipse((side * 18, 4), (9, 13), 150.0)  # thyroid

    @staticmethod
    def _airways(canvas: Canvas, z: float) -> None:
        for airway in AIRWAYS:
            canvas.tube(airway, z, 20.0, grow=1.3)
        for airway in AIRWAYS:
            canvas.tube(airway, z, -985.0)

    def _noisy(self, canvas: Canvas) -> Field:
        """Add noise of filtered back projection: about 12 HU in the middle, less at the rim."""
        white = self._noise_rng.standard_normal((SIZE, SIZE), dtype=np.float32)
        noise = np.fft.irfft2(np.fft.rfft2(white) * _noise_gain(), (SIZE, SIZE))
        radius = np.hypot(canvas.x, canvas.y) / 190
        canvas.image += noise * (13 - 6 * np.minimum(radius, 1) ** 2)
        return canvas.image


def _noise_gain() -> Field:
    """Return the root of a CT noise power spectrum: a ramp under a soft tissue kernel."""
    radius = np.hypot(np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE)[None, :])
    gain = np.sqrt(radius) * np.exp(-((radius / 0.28) ** 2))
    mirrored = np.concatenate([gain, gain[:, 1:-1]], axis=1)
    result: Field = (gain / np.sqrt((mirrored**2).mean())).astype(np.float32)
    return result


def _mirrored(tube: Tube) -> Tube:
    (ax, ay, az), (bx, by, bz) = tube.start, tube.end
    return Tube((-ax, ay, az), (-bx, by, bz), tube.radius)


def _tree(rng: np.random.Generator, side: int) -> list[tuple[Tube, float]]:
    """Grow arteries and veins of one lung from its hilum; side is -1 (right) or 1 (left)."""
    tubes: list[tuple[Tube, float]] = []
    hilum = np.array([42.0 * side, 12, 166])
    targets = [(88, -40, 235), (92, 35, 225), (96, -40, 120), (100, 30, 110), (82, 55, 60),
               (84, -30, 70), (72, 50, 160), (70, -48, 175), (98, 0, 200), (104, -10, 150),
               (60, 60, 200), (66, 30, 265)]  # fmt: skip
    for target in targets:
        aim = np.array([target[0] * side, target[1], target[2]]) - hilum
        grow = [(hilum, aim / np.linalg.norm(aim), float(rng.uniform(4.0, 5.4)), 0)]
        while grow:
            start, direction, radius, depth = grow.pop()
            length = float(rng.uniform(16, 26)) * 0.88**depth
            end = start + direction * length
            tubes.append((Tube(_space(start), _space(end), radius), min(140.0, 60 + 30 * radius)))
            if depth == 6:
                continue
            for share in (0.82, 0.66):
                bent = direction + rng.normal(0, 0.42, 3)
                grow.append((end, bent / np.linalg.norm(bent), radius * share, depth + 1))
    return tubes


def _space(point: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Space:
    return float(point[0]), float(point[1]), float(point[2])


def _spine(canvas: Canvas, z: float, fine: Field) -> None:
    level = z % 25.0
    if level < 19.5:
        canvas.ellipse((0, 70), (18, 14.5), CORTEX * 0.75, power=2.3)
        canvas.ellipse((0, 70), (16.4, 13), MARROW + 38 * fine, power=2.3, softness=1.2)
    else:
        canvas.ellipse((0, 70), (17.5, 14), 82.0, power=2.3)
    canvas.ellipse((0, 92), (13, 12), CORTEX * 0.8)
    if level < 12:
        for side in (-1, 1):
            canvas.tube(Tube((9 * side, 93, z), (34 * side, 98, z), 4.4), z, CORTEX * 0.7)
            canvas.tube(Tube((9 * side, 93, z), (33 * side, 98, z), 2.8), z, MARROW)
    canvas.tube(Tube((0, 100, z), (0, 104 + 0.4 * level, z), 3.2), z, CORTEX * 0.8)
    canvas.ellipse((0, 91), (10, 8.5), 12.0)
    canvas.ellipse((0, 91), (5.4, 4.2), 42.0)


def _table(canvas: Canvas) -> None:
    """Draw the couch: a curved shell with foam beneath."""
    x, y = canvas.x, canvas.y
    curve = 126 - 12 * (x / 170) ** 2
    within = inside(np.abs(x) - 172) * inside(y - 152)
    blend(canvas.image, within * inside(curve - y), -955.0)
    blend(canvas.image, within * inside(np.abs(y - curve) - 1.1), -180.0)
    blend(canvas.image, inside(np.abs(x) - 172) * inside(np.abs(y - 152) - 1), -180.0)
