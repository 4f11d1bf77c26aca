"""Lossless compression in flight: native pixels coded on the way, all else untouched.

A data set in Explicit VR Little Endian keeps its encoding inside every encapsulated
transfer syntax (PS3.5 A.4), so it is spliced: the bytes before and after the pixel
element are sent as they lie in the file, and only that element is made anew.  What is
not surely plain goes as it was.
"""
