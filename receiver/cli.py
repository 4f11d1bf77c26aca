"""``todoke receiver``: the supporting side (支援側)."""

from __future__ import annotations

import typer

from receiver import (
    audit_verbs,
    forward_verbs,
    keep_verbs,
    marks_verbs,
    monitor_verbs,
    oidc_verbs,
    prior_verbs,
    record_verbs,
    reporting_verbs,
    run_verbs,
    setup_verbs,
    study_verbs,
    user_verbs,
)

app = typer.Typer(
    no_args_is_help=True,
    help="支援側: 画像を受け取り、見せる / the supporting side: takes images, shows them",
)
setup_verbs.register(app)
run_verbs.register(app)
keep_verbs.register(app)
record_verbs.register(app)
marks_verbs.register(app)
reporting_verbs.register(app)
audit_verbs.register(app)
app.add_typer(user_verbs.app, name="user")
app.add_typer(oidc_verbs.app, name="oidc")
app.add_typer(study_verbs.app, name="study")
study_verbs.app.add_typer(prior_verbs.app, name="prior")
app.add_typer(forward_verbs.app, name="forward")
app.add_typer(monitor_verbs.app, name="monitor")
