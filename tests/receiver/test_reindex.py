"""The restore drill: an index that is lost is made again from files alone (T17)."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from common import durable, tls
from common.errors import CertificateRevoked, DataInUse, IndexLost
from common.proof import certificates
from common.states import InstanceState
from receiver import index, partners, registry, repairs, revocation, statements
from receiver.index import Index
from receiver.purge import Purge
from receiver.records import Records
from receiver.reindex import NEW, Reindex
from receiver.run import Supervisor
from receiver.startup import mend
from receiver.store import Store
from tests.receiver.filled import EAST, NORTH, USER, Filled, client, ct_image
from tests.receiver.linking import Linked


def receipted(linked: Linked, folder: Path, name: str = "drill", count: int = 3) -> list[Any]:
    """Send a study to its receipt; return its images."""
    images = [ct_image(name, number) for number in range(1, count + 1)]
    transfer = linked.open(images)
    linked.filled.arrive(images)
    (folder / name).mkdir()
    assert linked.close(transfer, images, folder / name).json()["receipt"]
    return images


def lose(filled: Filled) -> None:
    """Keep the records as the keeper does, then lose the index."""
    Records(filled.index, filled.data).keep()
    filled.index.close()
    for path in filled.data.glob("index.sqlite*"):
        path.unlink()


def answers(filled: Filled) -> dict[str, bytes]:
    """What pages and other products are told, byte by byte, but for the time of day."""
    found = {}
    with filled.serve() as url, client(url) as asking:
        rows = asking.get("/api/worklist").json()["rows"]
        paths = []
        for row in rows:
            base, study = row["dicomweb"], row["study_uid"]
            paths += [f"{base}/studies", f"{base}/series", f"{base}/instances?includefield=all"]
            paths += [f"/api/studies/{row['key']}", f"{base}/studies/{study}/metadata"]
        for path in paths:  # the port is a free one, another each time
            body = asking.get(path).content.replace(url.encode(), b"")
            # nor when an image came last: times of storage are those of the files
            found[path] = re.sub(rb'"last_arrived_at":[^,]*,', b"", body)
        found["worklist"] = json.dumps(rows).encode()
    return found


def again(filled: Filled) -> Index:
    """Make the index again and open it."""
    made = Reindex(filled.data).run()
    filled.index = Index.at(filled.data)
    filled.made = made  # type: ignore[attr-defined]
    return filled.index


@pytest.mark.requirement("DAT-08")
@pytest.mark.badinput(92, "lost")
@pytest.mark.timeout(300)
def test_what_is_asked_afterwards_has_the_same_bytes(linked: Linked, tmp_path: Path) -> None:
    filled = linked.filled
    receipted(linked, tmp_path)
    filled.ct("east", EAST[1], count=2, arrived=2)  # without a receipt
    before = answers(filled)
    with filled.index.read() as db:
        columns = [column for column in index.instances.c
                   if column.name not in {"id", "stored_at", "attributes"}]  # fmt: skip
        by_uid = select(*columns).where(index.instances.c.institution == NORTH[1])
        rows = db.execute(by_uid.order_by(index.instances.c.sop_uid)).all()
        signed = [statements.read(db, rows[0].transfer, kind) for kind in ("opening", "receipt")]
    lose(filled)
    with again(filled).read() as db:
        assert db.execute(by_uid.order_by(index.instances.c.sop_uid)).all() == rows
        assert signed == [
            statements.read(db, rows[0].transfer, kind) for kind in ("opening", "receipt")
        ]
    after = answers(filled)
    assert after.keys() == before.keys()
    for key, body in before.items():
        assert after[key] == body, key
    mend(filled.index, filled.store)
    assert len(list(filled.store.names())) == 5, "every file has its row"


def test_the_old_index_is_kept_and_accounts_are_there(linked: Linked, tmp_path: Path) -> None:
    filled = linked.filled
    receipted(linked, tmp_path, count=1)
    Records(filled.index, filled.data).keep()
    filled.index.close()
    (filled.data / "index.sqlite").write_bytes(b"no database" * 100)
    again(filled)
    [old] = filled.data.glob("index-*")
    assert (old / "index.sqlite").read_bytes() == b"no database" * 100
    with filled.serve() as url, client(url) as asking:  # with the same password
        assert asking.get("/api/session").json()["user"]["name"] == USER


@pytest.mark.requirement("DAT-01")
def test_what_is_not_what_was_receipted_is_damaged_and_not_verified(
    linked: Linked, tmp_path: Path
) -> None:
    filled = linked.filled
    images = receipted(linked, tmp_path)
    rotten, gone = linked.row(images[0]), linked.row(images[1])
    path = filled.store.path(rotten.path)
    whole = bytearray(path.read_bytes())
    whole[-7] ^= 1
    path.write_bytes(whole)
    filled.store.path(gone.path).unlink()
    lose(filled)
    again(filled)
    states = [linked.row(image).state for image in images]
    assert states == [InstanceState.DAMAGED, InstanceState.DAMAGED, InstanceState.VERIFIED]
    with filled.index.read() as db:
        [one] = repairs.wanted(db, NORTH[1])
    assert sorted(one["instances"]) == sorted(str(i.SOPInstanceUID) for i in images[:2])
    filled.arrive(images[:2])
    assert linked.row(images[0]).state == InstanceState.STORED


def test_what_was_purged_stays_so(linked: Linked, tmp_path: Path) -> None:
    from datetime import UTC, datetime, timedelta

    from common import audit

    filled = linked.filled
    receipted(linked, tmp_path, "old", 2)
    with filled.index.read() as db:
        key = db.execute(select(index.studies.c.key)).scalar_one()
    filled.done(key)
    purge = Purge(filled.index, filled.store, audit.Trail(tmp_path / "a", "x"), 1)
    assert len(purge.run(datetime.now(UTC) + timedelta(days=2))) == 1
    purge.trail.close()
    lose(filled)
    with again(filled).read() as db:
        assert db.execute(select(index.instances)).all() == []
        assert len(db.execute(select(index.transfers)).all()) == 1
        assert repairs.wanted(db, NORTH[1]) == []


def test_a_slide_comes_back_with_its_frames_and_a_half_arrived_one_is_sent_again(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, half = filled.slide("whole"), filled.slide("half")
    for slide in (whole, half):
        slide.lay_out(0)
    whole.send(0)
    half.send(0, [0])
    row = whole._row(0)
    path = filled.store.path(row.path)
    path.rename(path.with_suffix(".dcm"))
    with filled.index.read() as db:
        frames = db.execute(select(index.frames).where(index.frames.c.instance == row.id)).all()
    Records(filled.index, filled.data).keep()
    # the openings of this rig are not signed: their slots are announced as a signed one's are
    monkeypatch.setattr(
        Reindex, "_transfer", lambda _self, db, _kept, of, _purged: _unsigned(db, of, whole, half)
    )
    made = Reindex(filled.data).run()
    assert (made.instances, made.arriving) == (1, 1)
    filled.index.close()
    filled.index = Index.at(filled.data)
    back, other = whole._row(0), half._row(0)
    for name in ("frame_table", "pixel_offset", "prefix_length", "length", "frames", "key"):
        assert getattr(back, name) == getattr(row, name), name
    with filled.index.read() as db:
        of = index.frames.c.instance
        found = db.execute(select(index.frames).where(of == back.id)).all()
    assert [(f.frame, f.digest) for f in found] == [(f.frame, f.digest) for f in frames]
    assert (other.state, other.path) == (InstanceState.EXPECTED, None)
    assert len(list(filled.store.set_aside.iterdir())) == 1


def _unsigned(db: Any, row: dict[str, Any], *slides: Any) -> None:
    from sqlalchemy import insert

    from common.link import Opening
    from receiver import transfers

    db.execute(insert(index.transfers).values(**row))
    study = db.execute(
        select(index.studies.c.study_uid).where(index.studies.c.transfer == row["id"])
    ).scalar_one()
    [slide] = [one for one in slides if one.study_uid == study]
    opening = Opening(row["id"], "slide", NORTH[1], "x", study, {}, tuple(slide.slots))
    transfers.announce_slots(db, NORTH[1], opening)


def test_a_file_that_nobody_can_be_named_for_is_kept_aside(filled: Filled) -> None:
    filled.ct(count=2)
    stranger = filled.store.root / "ab" / "abcd" / f"{'1' * 32}.dcm"
    stranger.parent.mkdir(parents=True)
    one = next(path for path in filled.store.root.rglob("*.dcm"))
    shutil.copy(one, stranger)
    stranger.with_name("rubbish.dcm").write_bytes(b"rubbish")
    lose(filled)
    again(filled)
    assert len(list(filled.store.set_aside.iterdir())) == 2
    mend(filled.index, filled.store)
    assert len(list(filled.store.names())) == 2


def test_a_record_that_was_altered_is_none(filled: Filled) -> None:
    key = filled.ct(count=1)
    Records(filled.index, filled.data).keep()
    path = filled.data / "records" / "studies" / f"{key}.json"
    path.write_text(path.read_text().replace("0012345", "0099999"))
    filled.index.close()
    with again(filled).read() as db:
        model = db.execute(select(index.studies.c.attributes)).scalar_one()
    assert "0012345" in model, "from the image itself"


def test_records_follow_the_index_and_are_written_once(filled: Filled) -> None:
    key = filled.ct(count=1)
    kept = Records(filled.index, filled.data)
    assert kept.keep() > 2
    assert kept.keep() == 0
    assert Records(filled.index, filled.data).keep() == 0, "after a restart too"
    filled.look(key)
    assert kept.keep() == 4, "the study, its transfer, who looked, and the news of it"
    assert (filled.data / "records" / "small.json").stat().st_mode & 0o077 == 0


def test_who_was_revoked_stays_so_and_who_was_not_is_known(filled: Filled, tmp_path: Path) -> None:
    ca = certificates.Authority.create("todoke CA")
    refused, known, product = (ca.issue(certificates.new_key().public_key(), name)
                               for name in ("refused", "known", "product"))  # fmt: skip
    given = tmp_path / "theirs.crl"
    with filled.index.write() as db:
        for code, leaf in ((NORTH[1], refused), (EAST[1], known), (EAST[1], product)):
            registry.put_certificate(db, code, leaf, ours=leaf is not product)
            same = index.partners.c.code == code
            shown = tls.fingerprint(certificates.to_der(leaf))
            db.execute(update(index.partners).where(same).values(fingerprint=shown))
        db.execute(insert(index.revocation_lists).values(institution=EAST[1], path=str(given)))
    registry.revoke(filled.index, NORTH[0], "鍵の紛失")
    before = registry.list_partners(filled.index)
    lose(filled)
    made = again(filled)
    assert registry.list_partners(made) == before, "since when, why, and the list to go by"
    assert next(one for one in before if one.code == NORTH[1]).reason == "鍵の紛失"
    with pytest.raises(CertificateRevoked):
        partners.of_certificate(made, certificates.to_der(refused), ca.pem)
    assert partners.of_certificate(made, certificates.to_der(product), ca.pem).code == EAST[1]
    assert revocation._revoked(made).keys() == {refused.serial_number}


@pytest.mark.badinput(98, "reindex beside a receiver")
def test_it_refuses_while_a_receiver_runs(filled: Filled) -> None:
    with durable.lock(filled.data / "lock"), pytest.raises(DataInUse):
        Reindex(filled.data).run()
    assert not list(filled.data.glob(f"{NEW}*"))


@pytest.mark.badinput(92, "lost")
def test_a_start_without_its_index_removes_nothing(filled: Filled) -> None:
    filled.ct(count=2)
    lose(filled)
    for _ in range(2):  # the first makes an empty one
        with pytest.raises(IndexLost):
            Supervisor(filled.data)._mend()
    assert len(list(Store(filled.data / "store").names())) == 2


def test_a_start_between_the_old_index_and_the_new_is_refused(filled: Filled) -> None:
    Records(filled.index, filled.data).keep()
    filled.index.close()
    (filled.data / "index.sqlite").rename(filled.data / NEW)
    with pytest.raises(IndexLost):
        Supervisor(filled.data)._mend()
    assert not (filled.data / "index.sqlite").exists()
    again(filled)
    Supervisor(filled.data)._mend()
