"""One axial slice that is being drawn, in mm: x to the patient's left, y to the back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from samples.fields import Field, blend, ellipse, inside

Point = tuple[float, float]
Space = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Tube:
    """A straight piece of a vessel, airway or bone, in mm."""

    start: Space
    end: Space
    radius: float


@dataclass(frozen=True, slots=True)
class Ball:
    """An ellipsoid, in mm."""

    centre: Space
    radii: Space

    def at(self, z: float) -> tuple[Point, Point] | None:
        """Return centre and radii of the ellipse in which a slice cuts it, None beside it."""
        share = 1 - ((z - self.centre[2]) / self.radii[2]) ** 2
        if share <= 0:
            return None
        root = float(np.sqrt(share))
        return self.centre[:2], (self.radii[0] * root, self.radii[1] * root)


class Canvas:
    """A slice of size x size pixels, the axis x = y = 0 in its centre.

    Parameters
    ----------
    size
        Pixels along one side.
    spacing
        mm from pixel to pixel.
    ground
        Value where nothing is drawn.
    """

    def __init__(self, size: int, spacing: float, ground: float) -> None:
        self.size, self.spacing = size, spacing
        axis = ((np.arange(size) - (size - 1) / 2) * spacing).astype(np.float32)
        self.x, self.y = axis[None, :], axis[:, None]
        self.image: Field = np.full((size, size), ground, np.float32)

    def window(self, low: Point, high: Point) -> tuple[slice, slice]:
        """Return rows and columns of the part between two corners."""
        half = (self.size - 1) / 2
        edges = [
            (
                max(0, int(np.floor(a / self.spacing + half)) - 2),
                max(0, min(self.size, int(np.ceil(b / self.spacing + half)) + 3)),
            )
            for a, b in zip(low, high, strict=True)
        ]
        return slice(*edges[1]), slice(*edges[0])

    def ellipse(
        self,
        centre: Point,
        radii: Point,
        value: float | Field,
        *,
        within: Field | None = None,
        softness: float = 0.8,
        power: float = 2,
    ) -> None:
        """Draw an ellipse; ``value`` and ``within`` are of the whole slice when they are fields."""
        low = (centre[0] - radii[0], centre[1] - radii[1])
        rows, columns = part = self.window(low, (centre[0] + radii[0], centre[1] + radii[1]))
        distance = ellipse(self.x[:, columns], self.y[rows], centre, radii, power)
        mask = inside(distance, softness)
        if within is not None:
            mask = mask * within[part]
        blend(self.image[part], mask, value if isinstance(value, float | int) else value[part])

    def ball(self, ball: Ball, z: float, value: float | Field, **how: Field | float) -> None:
        """Draw what the slice at height z cuts out of an ellipsoid."""
        if cut := ball.at(z):
            self.ellipse(*cut, value, **how)  # type: ignore[arg-type]

    def tube(
        self, tube: Tube, z: float, value: float, *, within: Field | None = None, grow: float = 0
    ) -> None:
        """Draw what a slice cuts out of a tube, ``grow`` mm wider than it is."""
        ends = _cut(tube, z, tube.radius + grow)
        if ends is None:
            return
        (ax, ay), (bx, by) = ends
        radius = tube.radius + grow
        low = (min(ax, bx) - radius, min(ay, by) - radius)
        rows, columns = part = self.window(low, (max(ax, bx) + radius, max(ay, by) + radius))
        x, y = self.x[:, columns] - ax, self.y[rows] - ay
        dx, dy = bx - ax, by - ay
        along = np.clip((x * dx + y * dy) / max(dx * dx + dy * dy, 1e-6), 0, 1)
        mask = inside(np.hypot(x - along * dx, y - along * dy) - radius, 0.6)
        if within is not None:
            mask = mask * within[part]
        blend(self.image[part], mask, value)


def _cut(tube: Tube, z: float, reach: float) -> tuple[Point, Point] | None:
    """Return the ends of the piece of the axis that lies within reach of the slice."""
    a, b = np.array(tube.start), np.array(tube.end)
    rise = b[2] - a[2]
    if abs(rise) < 1e-6:
        first, last = (0.0, 1.0) if abs(z - a[2]) < reach else (1.0, 0.0)
    else:
        bounds = sorted(((z - reach * 0.6 - a[2]) / rise, (z + reach * 0.6 - a[2]) / rise))
        first, last = max(0.0, bounds[0]), min(1.0, bounds[1])
    if first > last:
        return None
    start, end = a + (b - a) * first, a + (b - a) * last
    return (float(start[0]), float(start[1])), (float(end[0]), float(end[1]))
