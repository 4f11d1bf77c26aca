"""The audit trail of one end: who did what, when, to which information (REQUIREMENTS 3.5).

:mod:`~common.audit.trail` writes it, :mod:`~common.audit.heads` signs how far it has come,
:mod:`~common.audit.checking` looks for what was taken away, changed or put in,
:mod:`~common.audit.message` says it as DICOM does (PS3.15 A.5) and
:mod:`~common.audit.syslog` carries that to a hospital's repository (RFC 5424, RFC 5425).
"""

from common.audit.trail import Trail, last

__all__ = ["Trail", "last"]
