"""A scanner's colours on a display: what its ICC profile makes of them in sRGB.

Runs in a process apart (:mod:`receiver.decoder`): a profile is bytes of a stranger.
"""

from __future__ import annotations

import io
from pathlib import Path

#: Points of the cube along each axis: a step of 5, so that each lies on a whole value.
POINTS = 52
MOST_PROFILE = 16 << 20  # bytes
ALIKE = 1  # of 255: a profile that changes no more than this is sRGB


def cube(path: Path) -> bytes:
    """Return sRGB values of a cube of device values, by the profile of an image.

    Parameters
    ----------
    path : Path
        Of an instance of VL Whole Slide Microscopy.

    Returns
    -------
    bytes
        ``POINTS ** 3 * 3`` bytes, red outermost; none where the colours are sRGB already.

    Raises
    ------
    ValueError
        There is no profile, or it is not one of RGB (PS3.3 section C.11.15).
    """
    import numpy as np
    from PIL import Image, ImageCms

    from common.dicom import dataset

    ds, _ = dataset.open_header(path)
    paths = ds.get("OpticalPathSequence") or [ds]
    profile = bytes(paths[0].get("ICCProfile") or ds.get("ICCProfile") or b"")
    if not 128 < len(profile) <= MOST_PROFILE:
        raise ValueError("no ICC profile")
    device = ImageCms.getOpenProfile(io.BytesIO(profile))
    if device.profile.xcolor_space.strip() != "RGB":
        raise ValueError("not a profile of RGB")
    axis = np.linspace(0, 255, POINTS).round().astype(np.uint8)
    asked = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    flat = Image.fromarray(np.ascontiguousarray(asked.reshape(POINTS, POINTS * POINTS, 3)))
    change = ImageCms.buildTransform(
        device,
        ImageCms.createProfile("sRGB"),
        "RGB",
        "RGB",
        renderingIntent=ImageCms.Intent(ImageCms.getDefaultIntent(device)),
    )
    shown = ImageCms.applyTransform(flat, change)
    if shown is None:
        raise ValueError("no transform")
    found = np.asarray(shown).reshape(asked.shape)
    if np.abs(found.astype(np.int16) - asked).max() <= ALIKE:
        return b""
    return found.tobytes()
