"""What a scan declares of its transfers: how they came in, and what the rules make of them.

The judgement is kept with the transfer, goes with its opening, and holds a transfer that
must not go as direct transmission until a person decides.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from common import request
from common.dicom import elements, uids
from common.errors import NotDirect, NotFound
from common.states import TransferState
from sender import facts, identity, judging
from sender.facts import Facts
from sender.judging import Ends, Ingest, Judgement, Site
from sender.outbox import Instance, Job, Outbox, fault
from sender.rule_kinds import SetName

if TYPE_CHECKING:
    from common.settings import Sender
    from sender.slides import Slide


@dataclass(frozen=True, slots=True)
class House:
    """What our institution has decided, and who its partners are.

    Attributes
    ----------
    own : str
        Our institution code.
    code_of : callable
        Given a partner's key, its institution code, None where it is not registered;
        raises NotFound where there is no such partner.
    attested_by : str
        Who attests what is imported, where nobody is named for the import.
    before : callable
        Given a study and a partner's key, the judgements of what went there of it.
    """

    site: Site = field(default_factory=Site)
    own: str = ""
    code_of: Callable[[str], str | None] | None = None
    attested_by: str = ""
    before: Callable[[str, str], list[Judgement]] = lambda _study, _partner: []

    def ends(self, partner: str) -> Ends | None:
        """Return the codes of both ends, None where there is no partner yet."""
        if not partner or self.code_of is None:
            return None
        try:
            return Ends(self.own, self.code_of(partner))
        except NotFound:
            return None


#: Of a scan that nobody told of a house.
NOBODY = House()


def house(outbox: Outbox, settings: Sender, own: str) -> House:
    """Return what the sender of a data directory has decided."""
    data = outbox.path.parent
    from sender.partners import find_partner

    site = Site(settings.lossy_ct_mr_ratio, settings.hold_unattested, settings.accept_equal_code)
    return House(
        site,
        own,
        lambda key: find_partner(data, key).code,
        settings.media_attested_by,
        outbox.judgements,
    )


def house_of(outbox: Outbox) -> House:
    """Return what the sender of an outbox's data directory has decided, read from its files."""
    from common.proof.identity import Node
    from common.proof.role import Role
    from common.settings import Sender

    data = outbox.path.parent
    own = Node.load(data, Role.REQUESTER).institution.code
    return house(outbox, Sender.load(data), own)


def ingest_of(job: Job, house: House, *, scanned: bool) -> Ingest:
    """Return how a job's files came in, and the grade of that way (P1).

    Parameters
    ----------
    scanned : bool
        A slide, as a scanner writes it.
    """
    source = str(job.options.get("source", ""))
    door = job.options.get("ingest", {})
    if source.startswith("modality:"):
        archive = bool(door.get("archive"))
        return Ingest(
            "B" if archive else "A",
            "archive" if archive else "modality",
            aet=source.partition(":")[2],
            implementation_class_uid=str(door.get("implementation_class_uid", "")),
            implementation_version=str(door.get("implementation_version", "")),
        )
    folder = source.startswith("folder:")
    if folder and scanned:
        return Ingest("C", "scanner")
    said = job.options.get("request", {}).get("import", {})
    attested = str(said.get("attested_by", "") or house.attested_by)
    channel = "folder" if folder else "import"
    return Ingest("D" if attested else "E", channel, attested_by=attested)


def judged(
    job: Job,
    house: House,
    values: Mapping[str, Any],
    kinds: Mapping[Facts, int],
    of: SetName | None = None,
    *,
    prior: bool = False,
) -> dict[str, Any]:
    """Return what a transfer's values gain: its judgement, and its hold if it must not go."""
    of = of or judging.set_of(kinds)
    slides = any(one.sop_class == uids.WHOLE_SLIDE for one in kinds)
    ingest = ingest_of(job, house, scanned=slides)
    ends = house.ends(str(values["partner"]))
    before = house.before(str(values["study"]), str(values["partner"]))
    joins = any(one["direct"] and one["roles"]["acquired"] for one in before)
    judgement = judging.judge(kinds, ingest, house.site, ends, of=of, prior=prior, joins=joins)
    gained: dict[str, Any] = {"judgement": written(judgement)}
    if judging.holds(judgement) and values["state"] != TransferState.HELD:
        gained |= {"state": TransferState.HELD, "error": fault(not_direct(judgement))}
    return gained


def with_forms(judgement: str, count: int) -> str:
    """Return a kept judgement with request forms: they count as accessories, and prove nothing."""
    made: Judgement = json.loads(judgement)
    return written(
        made | {"roles": made["roles"] | {"accessory": made["roles"]["accessory"] + count}}
    )


def of_forms(job: Job, house: House, values: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Return what a transfer of nothing but request forms gains: it is direct for nobody."""
    form = Facts(request.PDF, pixels=False)
    return judged(job, house, values, {form: count}, "pathology")


def written(judgement: Judgement) -> str:
    """Return a judgement as the outbox keeps it."""
    return json.dumps(judgement, ensure_ascii=False)


def not_direct(judgement: Judgement) -> NotDirect:
    """Return the error that holds a transfer, in the words of the rule that decided."""
    return NotDirect(**judging.why(judgement))


def with_roles(
    instances: Iterable[Instance], found: Sequence[Facts], of: SetName
) -> list[Instance]:
    """Return instances that know what each is among those of its study."""
    known: dict[int, str] = {}  # by object: hashing facts takes longer than the rest
    made = []
    for instance, one in zip(instances, found, strict=True):
        if (role := known.get(id(one))) is None:
            role = known[id(one)] = judging.role_of(one, of)
        made.append(instance.with_role(role))
    return made


def of_slide(slide: Slide) -> list[Facts]:
    """Return the facts of a slide's levels, from the headers that are made for them."""
    syntax = uids.EXPLICIT_VR_LITTLE_ENDIAN
    made = []
    for level in slide.instances:
        found = elements.scan(level.header, 0, syntax, whole=True, also=identity.BESIDES)
        values, raw = (
            (found.values, found.raw) if found else ({"SOPClassUID": uids.WHOLE_SLIDE}, {})
        )
        one = facts.of_values(values, raw, level.transfer_syntax_uid)
        made.append(replace(one, recoded=level.recoded is not None))
    return made


def of_files(instances: Iterable[Instance]) -> list[Facts]:
    """Return the facts of files that were made here."""
    found = [identity.read(instance.path) for instance in instances]
    return [one.facts for one in found if one is not None]


def counted(found: Sequence[Facts]) -> Counter[Facts]:
    """Return how many instances have the same facts."""
    kinds: Counter[Facts] = Counter()
    objects = {id(one): one for one in found}
    for name, count in Counter(map(id, found)).items():
        kinds[objects[name]] += count
    return kinds
