"""Photographs of pathology: microscope stills (顕微鏡画像) and gross photographs (肉眼像).

A JPEG, PNG or TIFF file that a person names as one becomes a VL Microscopic or a VL
Photographic Image (PS3.3 A.32.2, A.32.4).  Nothing becomes one by accident.
"""

from sender.stills.making import KINDS, Kind, make
from sender.stills.picture import Picture, look, looks_like_photograph

__all__ = ["KINDS", "Kind", "Picture", "look", "looks_like_photograph", "make"]
