"""A supporting hospital, two requesting ones, and everybody else who knocks at its two doors."""

from __future__ import annotations

import json
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from common.proof import certificates, revocation
from common.proof.certificates import Authority, Key
from conformance import wire
from conformance.target import Target
from conformance.wire import IMPLICIT, VERIFICATION
from sender.partners import Partner, find_partner
from tests.system.ends import SENDER_CODE, Ends, must, until
from tests.system.tls import forging

OTHER_CODE = "0110000027"  # site C
PRODUCT_CODE, PRODUCT_AET = "0110000035", "PRODUCT"
PATIENCE = 30.0  # seconds: the machine is shared
DOORS = ("dicom", "link")
TRAILS = {"dicom": "dicom", "link": "web"}
LET_IN = "let in"


@dataclass
class Site:
    """Whole processes, on free ports of this machine."""

    folder: Path
    ends: Ends = field(init=False)
    product: Authority = field(init=False)
    profile: str = "jp-high13"
    _seen: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ends = Ends(self.folder)
        self.ends.pair()
        self.other = self.folder / "other"
        invited = must(
            *("receiver", "invite", "網走依頼病院", "--code", OTHER_CODE),
            *("--address", "localhost", "--out", self.folder, "--data", self.ends.receiver),
        )
        must(
            *("sender", "init", "--data", self.other, "--name", "網走依頼病院"),
            *("--code", OTHER_CODE, "--address", "網走市", "--operator", "試験"),
        )
        must("sender", "join", invited["path"], "--data", self.other)
        self.product = Authority.create("product CA")
        self._add_product()

    def _add_product(self) -> None:
        self.product_leaf = forging.certificate(self.product.certificate, self.product.key)
        chain, _ = self.product_leaf.save(self.folder, "product")
        leaf = self.folder / "product-leaf.pem"
        leaf.write_text(chain.read_text().partition("-----END CERTIFICATE-----\n")[0])
        leaf.write_text(leaf.read_text() + "-----END CERTIFICATE-----\n")
        ca = self.folder / "product-ca.pem"
        ca.write_text(self.product.pem)
        self.list_product()
        must(
            *("receiver", "partner", "add", "製品", "--aet", PRODUCT_AET, "--code", PRODUCT_CODE),
            *("--cert", leaf, "--ca", ca, "--crl", self.product_list),
            *("--data", self.ends.receiver),
        )

    @property
    def product_list(self) -> Path:
        """Where the product's CA keeps its list."""
        return self.folder / "product.crl"

    def list_product(self, *serials: int, days: float = 30) -> None:
        """Write the list of the product's CA."""
        rows = dict.fromkeys(serials, self.product.certificate.not_valid_before_utc)
        self.product_list.write_text(revocation.make_list(self.product, rows, days=days))

    # -- the receiver --------------------------------------------------------

    @property
    def identity(self) -> Path:
        """The receiver's own keys."""
        return self.ends.receiver / "identity"

    @property
    def ca(self) -> x509.Certificate:
        """The receiver's CA."""
        return certificates.from_pem((self.identity / "ca.crt").read_text())

    @property
    def ca_key(self) -> Key:
        """Its key, of which nobody else should know."""
        return certificates.key_from_pem((self.identity / "ca.key").read_bytes())

    def speak(self, profile: str) -> None:
        """Restart the receiver with another profile, unless it has that."""
        if profile != self.profile:
            self.ends.stop_receiver()
            self.profile = profile
            self.ends.start_receiver(os.environ | {"TODOKE_RECEIVER_PROFILE": profile})

    @contextmanager
    def ca_out_of_order(self) -> Iterator[None]:
        """Let the receiver renew nothing for a while."""
        path = self.identity / "ca.key"
        kept = path.read_bytes()
        path.write_bytes(b"gone")
        try:
            yield
        finally:
            path.write_bytes(kept)

    # -- who knocks ----------------------------------------------------------

    def partner(self, data: Path | None = None) -> Partner:
        """The receiver as a hospital knows it; the first one by default."""
        return find_partner(data or self.ends.sender)

    def forge(self, **options: Any) -> forging.Forged:
        """Issue with the receiver's own CA, for the first hospital unless said otherwise."""
        options = {"institution": SENDER_CODE} | options
        return forging.certificate(self.ca, self.ca_key, **options)

    def context(self, files: tuple[Path, Path] | None, *, seclevel: int = 0) -> ssl.SSLContext:
        """A client that is not ours, takes any receiver, and has no scruples of its own."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers(f"DEFAULT:@SECLEVEL={seclevel}")
        if files is not None:
            context.load_cert_chain(*files)
        return context

    def knock(self, door: str, context: ssl.SSLContext, calling: str | None = None) -> str:
        """Ask for an association, or for ``hello``; return :data:`LET_IN` or how it was refused."""
        try:
            return self._associate(context, calling) if door == "dicom" else self._hello(context)
        except wire.Ended as ended:
            return ended.how
        except OSError as failure:
            return str(getattr(failure, "reason", None) or failure)

    def target(self, calling: str | None = None) -> Target:
        """The DICOM door."""
        partner = self.partner()
        port = self.ends.ports["dicom"]
        return Target("127.0.0.1", port, partner.aet, calling or partner.calling_aet, None,
                      server_name="localhost", patience=PATIENCE)  # fmt: skip

    def _associate(self, context: ssl.SSLContext, calling: str | None) -> str:
        target = self.target(calling)
        with wire.connected(target, context=context) as line:
            answer = line.associate(target, [(VERIFICATION, IMPLICIT)])
            if answer.type != wire.ASSOCIATE_AC:
                return f"PDU {answer.type:02X}H {answer.body.hex()}"
            return LET_IN if line.echo() == 0 else "no echo"

    def _hello(self, context: ssl.SSLContext) -> str:
        address = ("127.0.0.1", self.ends.ports["link"])
        with (
            socket.create_connection(address, PATIENCE) as sock,
            context.wrap_socket(sock, server_hostname="localhost") as line,
        ):
            line.sendall(b"GET /link/v1/hello HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = line.recv(4096)
        if not answer:
            return "closed"
        return LET_IN if answer.startswith(b"HTTP/1.1 200 ") else answer[:12].decode("latin-1")

    def good(self, door: str) -> str:
        """Knock as the first hospital, which always is let in."""
        own = self.partner().credentials
        return self.knock(door, self.context((own.chain, own.key)))

    # -- what was noted ------------------------------------------------------

    def trail(self, door: str) -> list[dict[str, Any]]:
        """The audit trail of a door's process."""
        path = self.ends.receiver / "audit" / f"{TRAILS[door]}.jsonl"
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]

    def audited(self, door: str, *words: str) -> dict[str, Any]:
        """Return the line of a refusal at a door whose cause has one of the words."""
        found: list[dict[str, Any]] = []

        def noted() -> bool:
            found[:] = [
                line
                for line in self.trail(door)
                if line["event"] == "security-alert"
                and any(word in str(line["cause"]) for word in words)
            ]
            return bool(found)

        until(noted, f"refusal at {door} noted: {words}", PATIENCE)
        assert found[-1]["address"] == "127.0.0.1"
        return found[-1]

    def alarmed(self, door: str, words: str) -> None:
        """Wait for an alarm."""

        def noted() -> bool:
            lines = (x for x in self.trail(door) if x["event"] == "alarm")
            return any(words in str(line["cause"]) for line in lines)

        until(noted, f"alarm of {door}: {words}", PATIENCE)

    def refused(self, door: str, context: ssl.SSLContext, *words: str, **options: Any) -> str:
        """Knock, see it refused and noted, and the good hospital served all the while."""
        how = self.knock(door, context, **options)
        assert how != LET_IN
        self.audited(door, *words)
        assert self.good(door) == LET_IN
        return how


def each_door() -> pytest.MarkDecorator:
    """Run a test against both doors."""
    return pytest.mark.parametrize("door", DOORS)
