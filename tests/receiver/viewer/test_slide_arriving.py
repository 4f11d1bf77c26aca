"""A slide while it arrives, with what is damaged in it, and with what was made here."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import PIL.Image
import pytest
from playwright.sync_api import Browser, ViewportSize
from sqlalchemy import delete, select, update

from common.states import InstanceState
from receiver import index
from receiver.deriving import Deriving
from receiver.waiting import take
from samples import names, slide
from tests.receiver.viewer.conftest import case_of
from tests.receiver.viewer.room import Room, SlideOnItsWay
from tests.receiver.viewer.screen import HATCH, SLIDE, Screen
from tests.receiver.viewer.test_slide import GROUND, STROKE, shown_and_true

pytestmark = pytest.mark.browser

SIZE = slide.QUICK_SIZE
ACROSS, DOWN = -(-SIZE[0] // 240), -(-SIZE[1] // 240)
OVERVIEW = ".overview .openseadragon-canvas canvas"
SCREEN: ViewportSize = {"width": 1280, "height": 800}
SMALL_SCREEN = 24  # tiles of the largest level
BACKGROUND = 0.05  # seconds between two frames that nobody waits for


@dataclass(eq=False)
class Sender(threading.Thread):
    """Brings frames as a sender does: what a reader waits for first, else the next of the rest.

    Attributes
    ----------
    rest : list of int
        Frames of the largest level that have not been brought, the next one last.
    log : list of (bool, int)
        What was brought, in order, and whether it was waited for.
    """

    coming: SlideOnItsWay
    rest: list[int]
    log: list[tuple[bool, int]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    failure: BaseException | None = None

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def run(self) -> None:
        """Bring until told to stop."""
        try:
            self._bring()
        except BaseException as failure:
            self.failure = failure

    def _bring(self) -> None:
        largest = self.coming.place(0)
        with self.coming.room.index.read() as db:
            numbers = db.execute(select(index.instances.c.sop_uid, index.instances.c.id)).all()
        by_uid = {uid: number for uid, number in numbers}
        places = {by_uid[slot.uid]: n for n, slot in enumerate(self.coming.slots)}
        while not self.stop.is_set():
            with self.coming.room.index.write() as db:
                asked = take(db, places)
            frames = [frame for place, frame in asked if place == largest and frame in self.rest]
            if frames:
                self._take(largest, frames, waited=True)
            elif self.rest:
                self._take(largest, [self.rest[-1]], waited=False)
            self.stop.wait(BACKGROUND)

    def _take(self, place: int, frames: list[int], *, waited: bool) -> None:
        self.rest = [frame for frame in self.rest if frame not in frames]
        self.log += [(waited, frame) for frame in frames]
        self.coming.bring(place, frames)


@dataclass
class Ward:
    room: Room
    coming: SlideOnItsWay
    screen: Screen


@pytest.fixture(scope="module")
def ward(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ward]:
    """One slide and one page for all that happens to it, one test after the other."""
    folder = tmp_path_factory.mktemp("arriving")
    svs, drawn = slide.write_slide(folder, names.YOSHIDA, size=SIZE)
    room = Room(folder / "receiver")
    coming = room.open_slide(svs, case_of(names.YOSHIDA, drawn.study_uid))
    coming.lay_out()
    context = browser.new_context(viewport=SCREEN, locale="ja-JP")
    with room.serve() as address:
        screen = Screen(context.new_page(), address)
        screen.sign_in()
        yield Ward(room, coming, screen)
        context.close()
    room.close()


def row_of(ward: Ward, level: int) -> tuple[int, str]:
    uid = ward.coming.slots[ward.coming.place(level)].uid
    with ward.room.index.read() as db:
        columns = (index.instances.c.id, index.instances.c.path)
        found = db.execute(select(*columns).where(index.instances.c.sop_uid == uid)).one()
    return int(found.id), str(found.path)


@pytest.mark.requirement("WSI-10")
def test_nothing_that_has_not_come_is_white_in_view_or_overview(ward: Ward) -> None:
    ward.screen.open(ward.coming.key)
    ward.screen.frames(5)
    covered = ward.screen.pixels(HATCH)
    assert (covered[..., 3] == 255).any()
    for selector in (SLIDE, OVERVIEW, HATCH, ".overview-hatch"):
        pixels = ward.screen.pixels(selector)
        drawn = pixels[pixels[..., 3] > 0][:, :3]
        light = (drawn > 0xE0).all(axis=1)
        assert not light.any(), selector
    with ward.screen.page.expect_download() as saved:
        ward.screen.press("k")
    with PIL.Image.open(saved.value.path()) as picture:
        snapshot = np.asarray(picture.convert("RGB"))[: covered.shape[0]]  # what is said is below
    assert picture.height > covered.shape[0]
    assert not (snapshot > 0xE0).all(axis=2).any(), "snapshot"
    hatched = covered[..., 3] == 255
    assert (snapshot[hatched] == covered[hatched][:, :3]).all(), (
        "what is missing is hatched there too"
    )
    assert {tuple(grey) for grey in np.unique(covered[covered[..., 3] == 255][:, :3], axis=0)} >= {
        GROUND,
        STROKE,
    }


@pytest.mark.requirement("WSI-10")
def test_all_that_a_large_screen_misses_is_asked_for(ward: Ward) -> None:
    """More than a browser's connections, or any small number, could ask for one by one."""
    screen = ward.screen
    screen.page.set_viewport_size({"width": 1920, "height": 1080})
    screen.frames(3)
    of_level = f"/{ward.coming.slots[ward.coming.place(0)].uid}/frames/"
    with screen.page.expect_request(lambda asked: of_level in asked.url) as first:
        screen.press("j")
    frames = first.value.url.partition(of_level)[2].split(",")
    screen.until("window.__todoke.view.missing > 0", "what is missing")
    assert len(set(frames)) == len(frames) == screen.view()["missing"] > SMALL_SCREEN
    with ward.room.index.write() as db:
        db.execute(delete(index.wanted))
    screen.page.set_viewport_size(SCREEN)
    screen.page.goto(screen.address)  # a page that has asked for nothing yet
    screen.open(ward.coming.key)


@pytest.mark.requirement("WSI-10")
def test_what_a_reader_looks_at_comes_before_the_rest(ward: Ward) -> None:
    screen, coming = ward.screen, ward.coming
    coming.bring_all(but_level=0)
    share = round(0.05 * ACROSS * DOWN)
    first = list(range(ACROSS * DOWN))[-share:]
    coming.bring(coming.place(0), first)  # 5 % of the largest level, far from the view
    screen.until("window.__todoke.view.missing === 0", "the small levels")
    rest = [frame for frame in range(ACROSS * DOWN) if frame not in first]
    sender = Sender(coming, rest)
    sender.start()
    screen.press("j", "Shift+ArrowLeft", "Shift+ArrowUp")
    assert screen.view()["missing"] > 0
    begun = time.monotonic()
    screen.until("window.__todoke.view.missing === 0", "what is in view")
    screen.settled()
    seconds = time.monotonic() - begun
    log, left = list(sender.log), list(sender.rest)
    sender.stop.set()
    sender.join(10)
    assert sender.failure is None, sender.failure
    assert left, "the rest goes on"
    waited = [frame for was_waited, frame in log if was_waited]
    assert len(waited) >= 6
    # without a reader these would have been the very last: the rest comes from the other end
    in_view = {row * ACROSS + column for row in (1, 2) for column in (0, 1, 2)}
    assert in_view <= set(waited), waited
    assert max(left) > max(in_view)
    assert seconds < 10
    print(f"sharp after {seconds:.2f} s, {len(left)} of {len(rest)} frames still to come")
    screen.frames(3)
    shown, true = shown_and_true(screen, coming.slide.path)
    assert np.abs(shown - true).max() <= 1
    coming.bring(coming.place(0), sender.rest)


@pytest.mark.requirement("DIR-07")
@pytest.mark.requirement("WSI-06")
def test_a_damaged_tile_says_so(ward: Ward) -> None:
    screen = ward.screen
    screen.press("j")
    screen.until("window.__todoke.view.missing === 0", "all frames")
    number, _ = row_of(ward, 0)
    with ward.room.index.write() as db:  # as the scrub marks it
        of_level = index.frames.c.instance == number
        db.execute(delete(index.frames).where(of_level, index.frames.c.frame < 4 * ACROSS))
        same = index.instances.c.id == number
        db.execute(update(index.instances).where(same).values(state=InstanceState.DAMAGED))
        index.announce(db, "study", ward.coming.key)
    screen.until("window.__todoke.view.damaged > 0", "what is damaged")
    view = screen.view()
    assert view["damaged"] == view["missing"]
    chip = screen.page.locator(".slide-chips").inner_text()
    assert "破損" in chip
    assert "未着" not in chip
    said = screen.page.locator(".facts").inner_text()
    assert "µm/px" in said
    assert "非可逆" in said
    assert "ICC" in said


@pytest.mark.requirement("WSI-10")
def test_a_level_that_was_made_here_is_shown_as_such(ward: Ward) -> None:
    """The smaller levels vanish from the index: a slide of one level, which is verified.

    The page hears of it only when others are there instead, as many: not even then does it
    show the levels that are gone.
    """
    screen, coming = ward.screen, ward.coming
    # what the page asks stands still until this thread waits for the page again
    asked = f"**/api/studies/{coming.key}"
    screen.page.route(asked, lambda route: route.continue_())
    largest, _ = row_of(ward, 0)
    smaller = [row_of(ward, one.level)[0] for one in coming.slide.instances if one.level]
    place = coming.place(0)
    with ward.room.index.write() as db:
        db.execute(delete(index.wanted))
        db.execute(delete(index.frames).where(index.frames.c.instance.in_([largest, *smaller])))
        db.execute(delete(index.instances).where(index.instances.c.id.in_(smaller)))
        same = index.instances.c.id == largest
        db.execute(update(index.instances).where(same).values(state=InstanceState.RECEIVED))
    coming.bring(place, list(range(ACROSS * DOWN)))
    with ward.room.index.write() as db:
        db.execute(update(index.instances).values(state=InstanceState.VERIFIED))
        index.announce(db, "study", coming.key)
    seconds = [0.0]
    deriving = Deriving(ward.room.index, ward.room.store.root, 0, lambda: seconds[0])
    seconds[0] = 100.0
    for _ in range(20):
        seconds[0] += 10
        deriving.some()
    deriving.close()
    screen.press("0")
    screen.until("window.__todoke.view?.derived === true", "a level made here")
    screen.page.unroute(asked)
    screen.settled()
    assert "作成レベル" in screen.text("derived")
    screen.frames(3)
    pixels = screen.pixels(SLIDE)
    assert (pixels[..., :3] > 0xE0).all(axis=2).any()
    assert pixels[..., :3].std() > 10
    screen.press("j")
    screen.until("window.__todoke.view.derived === false", "the scan's own level")
