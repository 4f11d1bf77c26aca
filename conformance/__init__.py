"""Tests a receiver over the wire and judges by pydicom, pynetdicom, ssl and hashlib alone."""
