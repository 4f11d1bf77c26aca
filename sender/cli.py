"""``todoke sender``: the requesting side (依頼側)."""

from __future__ import annotations

import typer

from sender import (
    audit_verbs,
    blocking_verbs,
    checking_verbs,
    deciding_verbs,
    pairing_verbs,
    query_verbs,
    record_verbs,
    reporting_verbs,
    request_verbs,
    sending_verbs,
    watching_verbs,
)

app = typer.Typer(
    no_args_is_help=True,
    help="依頼側: 装置の画像を送る / the requesting side: sends images from devices",
)
pairing_verbs.register(app)
sending_verbs.register(app)
deciding_verbs.register(app)
checking_verbs.register(app)
watching_verbs.register(app)
record_verbs.register(app)
reporting_verbs.register(app)
blocking_verbs.register(app)
request_verbs.register(app)
app.add_typer(query_verbs.app, name="queries")
audit_verbs.register(app)
