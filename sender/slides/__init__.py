"""Slides as virtual DICOM instances; their tiles are read where they lie."""

from sender.slides.case import SlideCase
from sender.slides.registry import looks_like_slide, open_slide
from sender.slides.slide import Slide, SourceFile, VirtualInstance

__all__ = [
    "Slide",
    "SlideCase",
    "SourceFile",
    "VirtualInstance",
    "looks_like_slide",
    "open_slide",
]
