"""What readers did, once more as files: without them a new index would call unopened what was read.

One file for each study that somebody looked at, asked about, marked or handed on, in
``records/readings/KEY.json``, written and sealed as :mod:`receiver.records` does; one of
the newest news for each institution, ``records/news/CODE.json``; and
``records/recalls.json`` of what senders took back.  Which studies have changed is asked of
counts and times alone, so that a file is made only where it differs.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from typing import Any

from sqlalchemy import Connection, Select, Table, and_, func, insert, select, text, update

from receiver import index, prior_links, standings, tidings
from receiver.done_questions import count

FOLDER, NEWS, RECALLS = "readings", "news", "recalls.json"
NEWS_KEPT = 500  # for each institution
#: By which numbers of news go on in a new index: none is given twice, of which a sender heard.
GAP = 1_000_000

_standings, _studies, _news = index.standings, index.studies, index.tidings
_forwards, _items, _instances = index.forwards, index.forward_items, index.instances
#: Tables with a study's key, in the order in which they are put back.
OF_STUDY: tuple[Table, ...] = (
    _standings,
    index.reading_steps,
    index.messages,
    index.calls,
    index.alarms,
    index.reader_marks,
    index.slide_marks,
    index.rescans,
    index.label_checks,
    index.prior_links,
    _forwards,
)
OF_FORWARD: tuple[Table, ...] = (
    _items,
    index.forward_receipts,
    index.forward_commits,
    index.recalled_forwards,
)


def prints(db: Connection) -> dict[str, str]:
    """Return by study what changes whenever a row of it does."""
    found: dict[str, list[Any]] = defaultdict(list)
    for number, query in enumerate(_questions()):
        for key, *facts in db.execute(query):
            found[key].append([number, *facts])
    return {key: json.dumps(facts, default=str) for key, facts in found.items()}


def _questions() -> list[Select[Any]]:
    """Ask by study for what tells one content of a table from another."""
    questions: list[Select[Any]] = [select(_standings.c.study, *_standings.c)]
    steps, messages, calls, alarms, marks, slides, rescans, checks, links = OF_STUDY[1:-1]
    recalled = index.recalled_forwards
    for table, facts in (
        (steps, [func.max(steps.c.id)]),
        (messages, [func.max(messages.c.at)]),
        (calls, [func.max(calls.c.id)]),
        (alarms, [func.max(alarms.c.at), func.sum(func.length(alarms.c.owed))]),
        (marks, [func.max(marks.c.at)]),
        (slides, [func.max(slides.c.id)]),
        (rescans, [func.max(rescans.c.id)]),
        (checks, [func.max(checks.c.at)]),
        (links, [func.max(links.c.id), func.max(links.c.at)]),
        (recalled, [func.count(recalled.c.settled_at)]),
    ):
        named = select(table.c.study, func.count(), *facts).group_by(table.c.study)
        questions.append(named)
    # what a target answered stands in the forward's own row as well
    columns = ("id", "at", "state", "sent", "total", "tries", "due_at", "error", "finished_at")
    questions.append(
        select(_forwards.c.study, *(_forwards.c[one] for one in columns)).order_by(_forwards.c.id)
    )
    commits = index.forward_commits
    answered = func.count(commits.c.reported_at), func.count(commits.c.refused)
    questions.append(
        select(_forwards.c.study, func.count(), *answered)
        .join(commits, commits.c.forward == _forwards.c.id)
        .group_by(_forwards.c.study)
    )
    return questions


def rows(db: Connection, key: str) -> dict[str, list[dict[str, Any]]]:
    """Return all that is known of the readers of a study, by table."""
    found = {table.name: _all(db, select(table).where(table.c.study == key)) for table in OF_STUDY}
    of = select(_forwards.c.id).where(_forwards.c.study == key)
    for table in OF_FORWARD:
        found[table.name] = _all(db, select(table).where(table.c.forward.in_(of)))
    return {name: said for name, said in found.items() if said}


def news_prints(db: Connection) -> dict[str, str]:
    """Return by institution what changes whenever its news does."""
    columns = _news.c.institution, func.count(), func.max(_news.c.id)
    rows = db.execute(select(*columns).group_by(_news.c.institution))
    return {code: f"{count} {last}" for code, count, last in rows}


def news(db: Connection, institution: str) -> list[dict[str, Any]]:
    """Return the newest news of an institution: whoever is away for longer hears states anew."""
    mine = select(_news).where(_news.c.institution == institution)
    return _all(db, mine.order_by(_news.c.id.desc()).limit(NEWS_KEPT))[::-1]


def recalls(db: Connection) -> list[dict[str, Any]]:
    """Return what senders took back, and why."""
    return _all(db, select(index.recalls).order_by(index.recalls.c.transfer))


def _all(db: Connection, query: Select[Any]) -> list[dict[str, Any]]:
    return [dict(row) for row in db.execute(query).mappings()]


def fingerprint(printed: str) -> str:
    """Return what is kept in memory of a print."""
    return hashlib.sha256(printed.encode()).hexdigest()


# -- put back ---------------------------------------------------------------


def restore_recalls(db: Connection, said: list[dict[str, Any]]) -> None:
    """Put back why transfers were taken back; which ones were stands in their own rows."""
    known = set(db.execute(select(index.transfers.c.id)).scalars())
    values = [one for one in said if one["transfer"] in known]
    if values:
        db.execute(insert(index.recalls), values)


def restore_news(db: Connection, said: list[dict[str, Any]]) -> None:
    """Put back what an institution may not have heard yet."""
    if said:
        db.execute(insert(_news), said)


def restore(db: Connection, key: str, said: dict[str, list[dict[str, Any]]]) -> None:
    """Put back what readers did with one study; images have their rows already."""
    for table in (*OF_STUDY, *OF_FORWARD):
        values = said.get(table.name, [])
        if table is _items:
            values = _numbered(db, key, values)
        elif table is index.prior_links:
            values = prior_links.standing(db, values)
        if values:
            db.execute(insert(table), values)


def _numbered(db: Connection, key: str, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Let what went out be of the rows that its instances have now; of what is gone, of none."""
    same = and_(
        _studies.c.institution == _instances.c.institution,
        _studies.c.study_uid == _instances.c.study_uid,
    )
    query = select(_instances.c.sop_uid, _instances.c.id).join(_studies, same)
    now = {uid: number for uid, number in db.execute(query.where(_studies.c.key == key))}
    return [one | {"instance": now.get(one["sop_uid"], -one["instance"])} for one in items]


def agree(db: Connection) -> None:
    """Let lists, studies and senders say one thing of how far each study is.

    Files are written some seconds after the fact: images that came between a 完了 and
    the loss of the index return a study to 未開封 now, and each sender hears anew where
    its studies stand.
    """
    _number_news_on(db)
    columns = _studies.c.key, _studies.c.reading, _studies.c.done_at, _studies.c.changed_at
    for study in db.execute(select(*columns)).all():
        row = db.execute(select(_standings).where(_standings.c.study == study.key)).one_or_none()
        if row is None and study.reading is None:
            continue
        if row is None:
            _by_nobody_known(db, study)
        else:
            _as_it_stands(db, study, row)
        standings.grown(db, study.key)
        _tell(db, study.key)


def _number_news_on(db: Connection) -> None:
    last = int(db.execute(select(func.max(_news.c.id))).scalar() or 0)
    if db.dialect.name == "sqlite":  # an index that is made again is one
        db.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": _news.name})
        values = {"name": _news.name, "seq": last + GAP}
        db.execute(text("INSERT INTO sqlite_sequence(name, seq) VALUES(:name, :seq)"), values)


def _by_nobody_known(db: Connection, study: Any) -> None:
    """Of records that do not say who: done with what is here, and of all else nothing was seen."""
    done = study.reading == standings.DONE
    whole = count(db, standings.known(db, study.key)).whole if done else -1
    at = study.done_at or study.changed_at
    said = {"state": study.reading, "by": "", "display": "", "at": at, "late": 0}
    seen = {"seen": max(0, whole), "done_with": whole}
    db.execute(insert(_standings).values(study=study.key, **said, **seen))


def _as_it_stands(db: Connection, study: Any, row: Any) -> None:
    state = None if row.state == standings.UNOPENED else row.state
    done_at = row.at if state == standings.DONE else None
    if (study.reading, study.done_at) != (state, done_at):
        same = _studies.c.key == study.key
        db.execute(update(_studies).where(same).values(reading=state, done_at=done_at))


def _tell(db: Connection, key: str) -> None:
    study = standings.known(db, key)
    row = db.execute(select(_standings).where(_standings.c.study == key)).one()
    said = {"state": row.state, "by": row.display, "moment": row.at, "late": row.late}
    tidings.tell(db, study.institution, study.study_uid, "state", **said)
