"""A robot that opens real files in the reading room, one by one, and notes what a reader sees."""

from __future__ import annotations

import base64
import queue
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pydicom
from playwright.sync_api import Page
from pydicom.encaps import get_frame
from pydicom.pixels import apply_color_lut, convert_color_space, pixel_array
from sqlalchemy import insert, select

from common.dicom import dataset, uids
from common.errors import TodokeError
from receiver import index
from receiver.arrivals import Arrival
from samples import names
from sender import identity
from tests.receiver.viewer.conftest import case_of
from tests.receiver.viewer.room import Room
from tests.receiver.viewer.screen import SLIDE, Screen
from tests.receiver.viewer.seen import IMAGE, NOTHING, REFUSED, SAID, Seen

DEADLINE = 30.0
FEW = 6  # images of a series that are all compared
NEAR_ONE = 1e-4  # of a scale: a twentieth of a pixel over a picture
LIST = "MANIFEST.tsv"

# The part of a canvas in its middle, as RGBA.
_MIDDLE = """([selector, width, height]) => {
  const canvas = document.querySelector(selector);
  const left = Math.floor((canvas.width - width + 1) / 2);
  const top = Math.floor((canvas.height - height + 1) / 2);
  const copy = new OffscreenCanvas(width, height);
  const context = copy.getContext('2d', {willReadFrequently: true});
  context.drawImage(canvas, -left, -top);
  const {data} = context.getImageData(0, 0, width, height);
  let text = '';
  for (let i = 0; i < data.length; i += 32768)
    text += String.fromCharCode(...data.subarray(i, i + 32768));
  return btoa(text);
}"""
_STATE = """() => {
  const text = (selector) => [...document.querySelectorAll(selector)]
    .filter((one) => !one.hidden && one.checkVisibility())
    .map((one) => one.innerText.trim()).filter(Boolean).join(' / ');
  const view = window.__todoke.view;
  return {
    view,
    chip: text('.load-chip'),
    notice: text('.picture .notice, .stage > .notice, .slide-area .notice'),
    others: text('.no-pictures'),
    missing: text('[data-role="missing"]'),
    canvas: (({width, height} = {}) => [width, height])(
      document.querySelector('.viewport canvas') ?? undefined),
  };
}"""
#: JPEG that pydicom cannot decode here: of 12 bits, and lossless (PS3.5 8.2.1).
JPEG_OF_OTHERS = {f"1.2.840.10008.1.2.4.{tail}" for tail in (51, 53, 55, 57, 70)}
#: What the page says while it waits, no answer to anything.
WAITING = ("読み込み", "を待って", "開いています")


@dataclass
class Held:
    """A file of the reading room: where it is, and what was seen of it."""

    path: Path
    seen: Seen


@dataclass
class Robot:
    """One reading room with all files in it."""

    room: Room
    folder: Path
    seen: list[Seen] = field(default_factory=list)
    by_study: dict[str, dict[str, Held]] = field(default_factory=lambda: defaultdict(dict))
    slides: dict[str, Seen] = field(default_factory=dict)
    _taken: set[tuple[int, str]] = field(default_factory=set)
    _patients: dict[tuple[int, str], Any] = field(default_factory=dict)
    _codes: list[str] = field(default_factory=list)

    # --- bringing them in -----------------------------------------------------------------

    def bring_all(self, chosen: tuple[str, ...] = ()) -> None:
        """Bring in every file of the folder's list whose name begins as one of `chosen` does."""
        lines = (self.folder / LIST).read_text("utf-8").splitlines()[1:]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's, of what the files hold
            for name in (line.split("\t")[0] for line in lines):
                if not chosen or name.startswith(chosen):
                    seen = Seen(name)
                    self.seen.append(seen)
                    try:
                        self._bring(self.folder / name, seen)
                    except TodokeError as error:
                        seen.result, seen.words = REFUSED, error.words()

    def _bring(self, path: Path, seen: Seen) -> None:
        if seen.name.startswith("wsi/") and path.suffix != ".dcm":
            seen.kind = path.suffix.removeprefix(".")
            coming = self.room.open_slide(
                path, case_of(names.YOSHIDA, pydicom.uid.generate_uid(prefix=None))
            )
            coming.lay_out()
            coming.bring_all()
            self.slides[coming.key] = seen
            return
        known = identity.read(str(path))
        if known is None:
            seen.result, seen.words = REFUSED, "DICOM (Part 10) ではない"
            return
        one = known.instance
        seen.kind = uids.STORAGE_CLASSES.get(one.sop_class, one.sop_class)
        seen.syntax = one.transfer_syntax
        code = self._place(known)
        part10 = dataset.read_part10(path)
        arrival = Arrival(
            self.room.store, code, part10.sop_class_uid, one.sop_uid, part10.transfer_syntax_uid
        )
        answers: queue.SimpleQueue[TodokeError | None] = queue.SimpleQueue()
        arrival.begin()
        arrival.write(memoryview(path.read_bytes())[part10.offset :])
        self.room.arrivals.finish(arrival, answers.put)
        error = answers.get(timeout=DEADLINE)
        if error is not None:
            raise error
        table = index.studies
        asked = select(table.c.key).where(
            table.c.institution == code, table.c.study_uid == known.study
        )
        with self.room.index.read() as db:
            key = str(db.execute(asked).scalar())
        self.by_study[key][one.sop_uid] = Held(path, seen)

    def _place(self, known: identity.Identity) -> str:
        """Return an institution that has neither the image nor its study of another patient."""
        for number in range(1000):
            study = (number, known.study)
            if (number, known.instance.sop_uid) in self._taken:
                continue
            if self._patients.setdefault(study, known.patient) != known.patient:
                continue
            self._taken.add((number, known.instance.sop_uid))
            if number == len(self._codes):
                self._codes.append(f"77{number:08d}")
                with self.room.index.write() as db:
                    db.execute(
                        insert(index.partners).values(
                            code=self._codes[-1],
                            name=f"施設{number}",
                            kind="todoke",
                            aet="TODOKE",
                            added_at=index.now(),
                        )
                    )
            return self._codes[number]
        raise AssertionError("a file that is there a thousand times")

    # --- looking at them ------------------------------------------------------------------

    def look_at_all(self, page: Page, address: str) -> None:
        """Open every study, go to every image, and note what is there."""
        screen = Screen(page, address)
        screen.sign_in()
        for key, held in self.by_study.items():
            study = page.request.get(f"{address}/api/studies/{key}").json()
            page.goto(f"{address}/study/{key}")
            if study["kind"] == "slide":
                look_at_slides(screen, study, held)
            else:
                look_at_images(screen, study, held)
        for key, seen in self.slides.items():
            page.goto(f"{address}/study/{key}")
            note_slide(screen, [seen])


def slots(series: dict[str, Any]) -> list[tuple[str, int]]:
    """Return the places of a series: instance, and frame from 1."""
    return [
        (one["sop_uid"], frame)
        for one in series["instances"]
        for frame in range(1, max(1, one["frames"] or 1) + 1)
    ]


def look_at_images(screen: Screen, study: dict[str, Any], held: dict[str, Held]) -> None:
    """Go to the middle frame of every instance of every series."""
    page = screen.page
    settled(screen, lambda one: (one["view"] or {}).get("series") or final(one["notice"]))
    thumbs = page.locator("button.thumb")
    by_uid = {one["series_uid"]: one for one in study["series"]}
    if page.locator("button[data-layout='1x1']").count():
        page.locator("button[data-layout='1x1']").click()
    left = set(held)
    for number in range(thumbs.count()):
        thumbs.nth(number).click()
        pressed = f"[...document.querySelectorAll('.thumb')][{number}]?.ariaPressed === 'true'"
        screen.until(pressed, "a series")
        series = by_uid[screen.view()["series"]]
        places = slots(series)
        for sop in dict.fromkeys(sop for sop, _ in places):
            own = [place for place, (uid, _) in enumerate(places) if uid == sop]
            go_to(screen, own[len(own) // 2], len(places))
            compared = sop in of_series(series)
            note_image(screen, held[sop], places[own[len(own) // 2]], own[len(own) // 2], compared)
            left.discard(sop)
    for sop in left:  # in no series of pictures
        seen = held[sop].seen
        state = settled(screen, lambda one: one["others"] or final(one["notice"]))
        if state is not None:
            seen.result, seen.words = SAID, words_of(state["others"] or state["notice"])


def final(words: str | None) -> bool:
    """Tell words that are an answer from those that the page says while it waits."""
    return words not in (None, "") and not any(word in str(words) for word in WAITING)


def go_to(screen: Screen, place: int, count: int) -> None:
    """Ask for a place by its number, as a reader does."""
    if count == 1 and screen.view().get("asked") == place:
        return
    screen.page.locator(".picture").first.focus()
    screen.press("g")
    screen.page.locator("[data-role='go-to']").fill(str(place + 1))
    screen.press("Enter")


def settled(screen: Screen, test: Any) -> dict[str, Any] | None:
    """Return the page's state once it passes a test; None after the deadline."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        state: dict[str, Any] = screen.page.evaluate(_STATE)
        if test(state):
            return state
        screen.page.wait_for_timeout(10)
    return None


def of_series(series: dict[str, Any]) -> set[str]:
    """Return which of a series' images are compared: the ends and the middle, or a few."""
    all_of_it = [one["sop_uid"] for one in series["instances"]]
    if len(all_of_it) <= FEW:
        return set(all_of_it)
    return {all_of_it[0], all_of_it[len(all_of_it) // 2], all_of_it[-1]}


def note_image(
    screen: Screen, held: Held, slot: tuple[str, int], place: int, compared: bool
) -> None:
    """Note whether an image stands at a place, or what is said there."""
    sop, frame = slot

    def there(state: dict[str, Any]) -> bool:
        view = state["view"] or {}
        if view.get("asked") != place:
            return False
        if view.get("ready") and (view["sop"], view["frame"], view["place"]) == (sop, frame, place):
            return True
        chip = state["chip"]
        return bool(state["missing"] or final(chip))

    state = settled(screen, there)
    seen = held.seen
    if state is None:
        return
    view = state["view"]
    if not (view.get("ready") and (view["sop"], view["place"]) == (sop, place)):
        seen.result, seen.words = SAID, words_of(state["chip"] or state["missing"])
        return
    seen.result = IMAGE
    if not compared or not at_one_to_one(screen):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seen.apart = steady(screen, held.path, frame - 1)


def words_of(said: str) -> str:
    """Return words once, without the place and the transfer syntax that follow them."""
    once = " / ".join(dict.fromkeys(said.split(" / ")))
    return " ".join(word for word in once.split() if not word.replace(".", "").isdigit())


def at_one_to_one(screen: Screen) -> bool:
    """Show an image pixel on a device pixel; False where the page cannot."""
    for _ in range(10):
        screen.press("j")
        screen.frames(3)
        if abs(screen.view()["scale"] - 1) < NEAR_ONE:
            return True
    return False


def steady(screen: Screen, path: Path, frame: int) -> int | None:
    """Return the distance once two drawings agree on it: a loaded machine draws late."""
    before = distance(screen, path, frame)
    for _ in range(10):
        if before is None or before <= 1:
            return before
        screen.frames(5)
        now = distance(screen, path, frame)
        if now == before:
            return now
        before = now
    return before


# --- what pydicom makes of it -------------------------------------------------------------


def distance(screen: Screen, path: Path, frame: int) -> int | None:
    """Return how far the canvas is from pydicom's picture; None where neither can be had."""
    view = screen.view()
    try:
        ds = pydicom.dcmread(path)
        wanted = picture(ds, frame, view["width"], view["center"])
    except Exception:  # pydicom raises anything on what it cannot decode
        return None
    state = screen.page.evaluate(_STATE)
    width, height = state["canvas"]
    rows, columns = (0, 0) if wanted is None else wanted.shape[:2]
    if wanted is None or rows > height or columns > width or abs(view["scale"] - 1) >= NEAR_ONE:
        return None
    packed = screen.page.evaluate(_MIDDLE, [".viewport canvas", columns, rows])
    shown = np.frombuffer(base64.b64decode(packed), np.uint8).reshape(rows, columns, 4)
    found = shown[..., :3] if wanted.ndim == 3 else shown[..., 0]
    return int(np.ceil(np.abs(found - wanted).max() - 1e-9))


def picture(
    ds: pydicom.Dataset, frame: int, width: float | None, center: float | None
) -> npt.NDArray[np.float64] | None:
    """Return a frame as 0-255: grey by a window (C.11.2.1.2), or RGB; None for other ways."""
    stored = decoded(ds, frame)
    photometric = str(ds.PhotometricInterpretation)
    if photometric == "PALETTE COLOR":
        shown = apply_color_lut(stored, ds)
        return np.asarray(shown >> (8 * (shown.dtype.itemsize - 1))).astype(float)
    if stored.ndim == 3:
        if int(ds.BitsAllocated) != 8:
            stored = stored >> (int(ds.BitsStored) - 8)
        if photometric in {"YBR_FULL", "YBR_FULL_422"}:
            stored = convert_color_space(stored, "YBR_FULL", "RGB")
        return np.asarray(stored, float)
    if width is None or center is None or "ModalityLUTSequence" in ds:
        return None
    slope, intercept, exact = line_of(ds, frame)
    values = stored * slope + intercept
    low, span = (
        (center - width / 2, width) if exact else (center - 0.5 - (width - 1) / 2, width - 1)
    )
    level = np.clip((values - low) / max(span, 1e-9) * 255.0, 0, 255)
    return np.asarray(255 - level if photometric == "MONOCHROME1" else level)


def decoded(ds: pydicom.Dataset, frame: int) -> npt.NDArray[Any]:
    """Return stored values: by pydicom, or by libjpeg-turbo where it cannot."""
    try:
        return np.asarray(pixel_array(ds, raw=True, index=frame))
    except RuntimeError:
        if ds.file_meta.TransferSyntaxUID not in JPEG_OF_OTHERS:
            raise
    count = int(ds.get("NumberOfFrames") or 1)
    coded = get_frame(ds.PixelData, frame, number_of_frames=count)
    found = np.asarray(imagecodecs.jpeg_decode(coded))
    return found.astype(f"i{found.dtype.itemsize}") if ds.PixelRepresentation else found


def line_of(ds: pydicom.Dataset, frame: int) -> tuple[float, float, bool]:
    """Return slope and intercept of a frame, and whether its window is LINEAR_EXACT."""
    found: dict[str, Any] = {}
    groups: list[Any] = list(ds.get("SharedFunctionalGroupsSequence") or [])
    groups += list(ds.get("PerFrameFunctionalGroupsSequence") or [])[frame : frame + 1]
    for source in (ds, *_items(groups)):
        for name in ("RescaleSlope", "RescaleIntercept", "VOILUTFunction"):
            if source.get(name) is not None:
                found[name] = source.get(name)
    slope, intercept = found.get("RescaleSlope", 1), found.get("RescaleIntercept", 0)
    return float(slope), float(intercept), found.get("VOILUTFunction") == "LINEAR_EXACT"


def _items(groups: list[Any]) -> Iterator[Any]:
    for group in groups:
        for name in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
            yield from list(group.get(name) or [])[:1]


# --- slides -------------------------------------------------------------------------------


def look_at_slides(screen: Screen, study: dict[str, Any], held: dict[str, Held]) -> None:
    """Open every slide of a case; its levels are shown by one picture."""
    page = screen.page
    thumbs = page.locator(".tray .thumb")
    settled(screen, lambda _: thumbs.count() > 0)
    of_slides = [one for one in study["series"] if (one.get("slide") or {}).get("levels")]
    for number, series in enumerate(of_slides):
        if thumbs.count() > number:
            thumbs.nth(number).click()
        own = [held[one["sop_uid"]].seen for one in series["instances"] if one["sop_uid"] in held]
        note_slide(screen, own)
    for one in held.values():  # what is no slide
        if one.seen.result == NOTHING:
            state = settled(screen, lambda found: found["others"])
            if state is not None:
                one.seen.result, one.seen.words = SAID, words_of(state["others"])


def note_slide(screen: Screen, of: list[Seen]) -> None:
    """Note whether a slide is on the screen, or what is said in its place."""
    state = settled(
        screen,
        lambda one: (one["view"] or {}).get("settled") is True or one["notice"] or one["chip"],
    )
    for seen in of:
        if state is None:
            continue
        if (state["view"] or {}).get("settled") is True:
            screen.frames(3)
            varied = screen.pixels(SLIDE)[..., :3].std() > 0
            seen.result, seen.words = IMAGE, "" if varied else "一様"
        else:
            seen.result, seen.words = SAID, words_of(state["notice"] or state["chip"])
