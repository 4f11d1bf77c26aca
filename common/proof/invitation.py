"""The file that pairs two hospitals: where the receiver is, its CA, and a secret for once.

The receiver keeps only :attr:`Invitation.digest`, which covers every field and
the secret.  The joiner hands the whole invitation back over a connection that
its CA fingerprint has proved, so a field altered on the way is seen there.  What
nobody can see is an invitation replaced in full; therefore both ends show the
fingerprint in groups of four to be compared by voice.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from common.errors import InvitationError
from common.proof.identity import Institution

VERSION = 1
KIND = "todoke-invitation"
MAX_BYTES = 16_384

USED = "使用済みです / used already"
EXPIRED = "期限切れです / expired"
ALTERED = "内容が書き換えられています / altered"
UNKNOWN = "この受信側の招待ではありません / not of this receiver"
UNREADABLE = "招待として読めません / not readable as an invitation"
OTHER_CA = (
    "受信側のCA証明書が招待と違います。電話で受信側に知らせてください"
    " / the receiver's CA is not that of the invitation; tell them by telephone"
)
OTHER_INSTITUTION = "別の医療機関あての招待です / made for another institution"


@dataclass(frozen=True, slots=True)
class Invitation:
    """One invitation for one sender.

    Parameters
    ----------
    id : str
    secret : str
        256 random bits; whoever has it first is the invited one.
    name, code : str
        Institution that is invited, as typed at the receiver.
    receiver_name, receiver_code : str
        Institution that invites.
    addresses : tuple of str
        Names or IP addresses of the receiver, tried in order.
    host : str
        What its certificates are checked for, whatever the address.
    pairing_port : int
    ca_sha256 : str
        Of the CA certificate (DER), 64 hex digits.
    expires_at : str
        ISO 8601 with offset.
    """

    id: str
    secret: str = field(repr=False)
    name: str
    code: str
    receiver_name: str
    receiver_code: str
    addresses: tuple[str, ...]
    host: str
    pairing_port: int
    ca_sha256: str
    expires_at: str

    @classmethod
    def make(
        cls,
        invited: Institution,
        receiver: Institution,
        *,
        addresses: tuple[str, ...],
        host: str,
        pairing_port: int,
        ca_sha256: str,
        hours: float,
        now: datetime,
    ) -> Self:
        """Return a new one, good for `hours` from `now`."""
        return cls(
            id=secrets.token_hex(16),
            secret=secrets.token_hex(32),
            name=invited.name,
            code=invited.code,
            receiver_name=receiver.name,
            receiver_code=receiver.code,
            addresses=addresses,
            host=host,
            pairing_port=pairing_port,
            ca_sha256=ca_sha256,
            expires_at=(now + timedelta(hours=hours)).astimezone(UTC).isoformat(timespec="seconds"),
        )

    def as_json(self) -> dict[str, Any]:
        """Return the words of the file."""
        words = asdict(self)
        return {"kind": KIND, "version": VERSION, **words, "addresses": list(self.addresses)}

    @classmethod
    def from_json(cls, words: object) -> Self:
        """Read the words of a file or of a peer.

        Raises
        ------
        InvitationError
            They are no invitation that this version understands.
        """
        names = {row.name for row in fields(cls)}
        if not isinstance(words, dict) or set(words) != names | {"kind", "version"}:
            raise InvitationError(cause=UNREADABLE)
        if words["kind"] != KIND or words["version"] != VERSION:
            raise InvitationError(cause=f"{UNREADABLE} ({words['kind']} {words['version']})")
        given = {name: words[name] for name in names}
        addresses, port = given.pop("addresses"), given.pop("pairing_port")
        texts = [*given.values(), *addresses] if isinstance(addresses, list) else [None]
        if not all(isinstance(one, str) for one in texts) or type(port) is not int:
            raise InvitationError(cause=UNREADABLE)
        return cls(**given, addresses=tuple(addresses), pairing_port=port)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read an invitation file.

        Raises
        ------
        InvitationError
            It is none, or cannot be read.
        """
        try:
            with path.open("rb") as file:
                return cls.from_json(json.loads(file.read(MAX_BYTES)))
        except (OSError, ValueError, RecursionError) as failure:
            raise InvitationError(cause=f"{UNREADABLE}: {path}") from failure

    @property
    def digest(self) -> str:
        """SHA-256 over every field, the secret included; what the receiver keeps."""
        text = json.dumps(self.as_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def check_time(self, now: datetime) -> None:
        """Refuse an expired invitation.

        Raises
        ------
        InvitationError
        """
        if expired(self.expires_at, now):
            raise InvitationError(cause=f"{EXPIRED} ({self.expires_at})")


def expired(expires_at: str, now: datetime) -> bool:
    """Say whether `now` is past the moment; a moment that cannot be read is past."""
    try:
        return datetime.fromisoformat(expires_at) <= now
    except (ValueError, TypeError):  # no moment, or none with an offset
        return True
