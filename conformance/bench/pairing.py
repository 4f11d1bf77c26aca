"""Our two ends, set up and paired once; every group runs on a copy of them."""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from common.free_ports import free_ports
from conformance.bench.peers import Identity
from conformance.bench.processes import first_object, running, todoke, verb

OPERATOR = "bench"
RECEIVER, SENDER, PRODUCT = "0110000001", "0110000002", "0110000003"
LISTENERS = ("dicom", "link", "peer")
PEER = "peer"  # partner under which every other product is entered
PLAIN = "plain"  # our receiver as a product without the link: no receipt, no record


@dataclass(frozen=True, slots=True)
class Pair:
    """The data directories of a sender and a receiver that know one another.

    Attributes
    ----------
    near : dict of int
        Port that a sender dials, by listener: ``dicom`` and ``link`` of our
        receiver, ``peer`` of any other product.
    key : str
        The receiver's, as the sender's partner.
    password : str
        Of the reader `OPERATOR`.
    identity : Identity
        What every product shows and trusts.
    """

    folder: Path
    near: dict[str, int]
    key: str
    password: str
    identity: Identity

    @classmethod
    def make(cls, folder: Path) -> Pair:
        """Set both up in a new folder and pair them; the product `BENCH` may send too."""
        folder.mkdir(parents=True)
        log = folder.parent / f"{folder.name}.log"
        *three, pairing, viewer = free_ports(len(LISTENERS) + 2)
        near = dict(zip(LISTENERS, three, strict=True))
        password = secrets.token_urlsafe(9) + "-7aZ"
        identity = Identity.make(folder)
        here = ("--address", "localhost", "--operator", OPERATOR)
        ours, theirs = ("--data", folder / "sender"), ("--data", folder / "receiver")
        verb(
            *("receiver", "init", "--name", "旭川支援病院 (試験)", "--code", RECEIVER, *here),
            *("--host", "localhost", "--bind", "127.0.0.1", "--pairing-port", pairing),
            "--no-second-factor",
            *("--viewer-port", viewer, "--dicom-port", near["dicom"]),
            *("--link-port", near["link"], *theirs),
            log=log,
        )
        verb(
            *("receiver", "user", "add", OPERATOR, "--display", "試験", "--password-stdin"),
            *theirs,
            log=log,
            stdin=f"{password}\n",
        )
        verb(
            *("receiver", "partner", "add", "BENCH", "--aet", "BENCH", "--code", PRODUCT),
            *("--issue", folder / "issued", *theirs),
            log=log,
        )
        named = ("--name", "北見依頼病院 (試験)", "--code", SENDER)
        verb("sender", "init", *named, *here, *ours, log=log)
        key = cls._join(folder, log)
        # both show and trust the same
        shown = ("--cert", identity.certificate, "--key", identity.key, "--ca", identity.ca)
        verb(
            *("sender", "partner", "add", PEER, "--address", f"localhost:{near['peer']}"),
            *("--aet", "PEER", "--calling", "BENCH", *shown, *ours),
            log=log,
        )
        issued = folder / "issued"
        ended = f"{issued / PRODUCT}.crt", "--key", f"{issued / PRODUCT}.key"
        plain = ("--cert", *ended, "--ca", issued / "ca.crt")
        verb(
            *("sender", "partner", "add", PLAIN, "--address", f"localhost:{near['dicom']}"),
            *("--aet", "TODOKE", "--calling", "BENCH", *plain, *ours),
            log=log,
        )
        return cls(folder, near, key, password, identity)

    @staticmethod
    def _join(folder: Path, log: Path) -> str:
        ours, theirs = ("--data", folder / "sender"), ("--data", folder / "receiver")
        with running(todoke("receiver", "run", *theirs), log) as process:
            first_object(process)
            invited = verb(
                *("receiver", "invite", "北見依頼病院 (試験)", "--code", SENDER),
                *("--address", "localhost", "--out", folder, *theirs),
                log=log,
            )
            return str(verb("sender", "join", invited["path"], *ours, log=log)["key"])

    @property
    def product(self) -> Identity:
        """What a product shows to our receiver, and trusts."""
        issued = self.folder / "issued"
        key, certificate = (issued / f"{PRODUCT}.{end}" for end in ("key", "crt"))
        return Identity(key, certificate, issued / "ca.crt")

    def copy(self, to: Path, *rooms: str) -> None:
        """Copy the directories of rooms as they were after the pairing, in place of what is there.

        Parameters
        ----------
        rooms : str
            ``sender``, ``receiver``.
        """
        for room in rooms:
            shutil.rmtree(to / room, ignore_errors=True)
            shutil.copytree(self.folder / room, to / room)
