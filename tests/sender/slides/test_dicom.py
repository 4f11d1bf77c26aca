"""DICOM whole slides as a source: byte by byte what their makers wrote, in the order of use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from common.errors import SourceChanged
from sender import identity, slide_instances
from sender.ingest import scan
from sender.outbox import Instance, Job
from sender.slides import Slide, dicom
from tests.sender.slides import dicom_files
from tests.sender.slides.dicom_files import Level, Offsets


@pytest.fixture(scope="module")
def levels(tmp_path_factory: pytest.TempPathFactory) -> list[Level]:
    return dicom_files.levels(Path(tmp_path_factory.mktemp("levels")))


def found(path: Path) -> Instance:
    known = identity.read(str(path))
    assert known is not None
    return known.instance


def opened(*paths: Path) -> Slide | None:
    known = [found(path) for path in paths]
    return dicom.open_instances(
        [
            dicom.Whole(Path(i.path), i.sop_uid, i.sop_class, i.transfer_syntax, i.offset, i.length)
            for i in known
        ]
    )


def same_bytes(slide: Slide, *paths: Path) -> bool:
    with slide:
        return all(
            b"".join(level.layout.stream(level.frame)) == path.read_bytes()[found(path).offset :]
            for level, path in zip(slide.instances, paths, strict=True)
        )


@pytest.mark.requirement("WSI-01", "WSI-03")
@pytest.mark.parametrize("offsets", ["basic", "empty", "extended", "unpadded"])
def test_what_the_layout_gives_is_the_file(
    levels: list[Level], tmp_path: Path, offsets: Offsets
) -> None:
    path = dicom_files.write(tmp_path / "one.dcm", levels[1].copy(), levels[1].frames, offsets)
    slide = opened(path)
    assert slide is not None
    (level,) = slide.instances
    assert level.frames == len(levels[1].frames)
    assert level.offsets == (offsets == "basic")
    assert level.frame(1).rstrip(b"\0") == levels[1].frames[1].rstrip(b"\0")
    assert same_bytes(slide, path)


@pytest.mark.requirement("WSI-01")
def test_sparse_tiles_and_parts_of_a_level_too(levels: list[Level], tmp_path: Path) -> None:
    header, frames = dicom_files.sparse(levels[0], [7, 2, 3])
    paths = [dicom_files.write(tmp_path / "sparse.dcm", header, frames)]
    for number, (part, some) in enumerate(dicom_files.parts(levels[1], [3, 3])):
        paths.append(dicom_files.write(tmp_path / f"{number}.dcm", part, some, "empty"))
    slide = opened(*paths)
    assert slide is not None
    assert same_bytes(slide, *paths)


def test_frames_of_several_fragments_go_whole(levels: list[Level], tmp_path: Path) -> None:
    frames = levels[2].frames
    path = dicom_files.write(tmp_path / "cut.dcm", levels[2].copy(), [*frames, frames[0]])
    data = path.read_bytes()
    at = data.index(b"\x28\0\x08\0IS")  # Number of Frames, one less than there are fragments
    count = f"{len(frames)}".encode().ljust(len(str(len(frames) + 1)) + 1)[:2]
    path.write_bytes(data[: at + 8] + count + data[at + 10 :])
    assert opened(path) is None


def test_bytes_behind_the_pixels_go_whole(levels: list[Level], tmp_path: Path) -> None:
    path = dicom_files.write(tmp_path / "more.dcm", levels[2].copy(), levels[2].frames)
    with path.open("ab") as file:  # Data Set Trailing Padding, PS3.10 section 7.2
        file.write(b"\xfc\xff\xfc\xffOB\0\0\x04\0\0\0\0\0\0\0")
    assert opened(path) is None


def test_the_smallest_picture_goes_first(levels: list[Level], tmp_path: Path) -> None:
    write, paths = dicom_files.write, []
    for number, (part, some) in enumerate(dicom_files.parts(levels[0], [20, 3, 1])):
        paths.append(write(tmp_path / f"{9 - number}.dcm", part, some))
    paths += [write(tmp_path / f"{n}.dcm", levels[n].copy(), levels[n].frames) for n in (1, 2)]
    label = levels[1].copy()
    label.ImageType = ["ORIGINAL", "PRIMARY", "LABEL", "NONE"]
    paths.append(write(tmp_path / "label.dcm", label, levels[1].frames))
    order, framed = slide_instances.arranged([found(path) for path in paths])
    assert framed
    names = [Path(one.path).stem for one in order]
    assert names == ["label", "2", "1", "9", "8", "7"]
    assert [one.frames for one in order][-3:] == [20, 3, 1]


@pytest.mark.requirement("PRI-04")
@pytest.mark.parametrize("flavor", ["LABEL", "OVERVIEW"])
def test_what_may_show_a_name_stays_unless_it_is_asked_for(
    levels: list[Level], tmp_path: Path, flavor: str
) -> None:
    dicom_files.write(tmp_path / "volume.dcm", levels[2].copy(), levels[2].frames)
    picture = levels[1].copy()
    picture.ImageType = ["ORIGINAL", "PRIMARY", flavor, "NONE"]
    named = dicom_files.write(tmp_path / "named.dcm", picture, levels[1].frames)

    def sent(**asked: bool) -> tuple[list[int], list[tuple[str, str]]]:
        job = Job(1, "B", [str(tmp_path)], {"slide": asked}, created="", scanned=False, found=0)
        found = scan(job)
        refused = [(path, error.words("ja")) for path, error in found.refused]
        return [len(instances) for _, instances in found.transfers], refused

    count, ((path, words),) = sent()
    assert (count, path, flavor in words) == ([1], str(named), True)
    assert sent(send_label=True, send_macro=True) == ([2], [])


def test_a_file_that_became_another_is_not_opened(levels: list[Level], tmp_path: Path) -> None:
    path = dicom_files.write(tmp_path / "one.dcm", levels[2].copy(), levels[2].frames)
    known = found(path)
    os.truncate(path, known.size - 20)
    with pytest.raises(SourceChanged):
        dicom.open_instances(
            [
                dicom.Whole(
                    path,
                    known.sop_uid,
                    known.sop_class,
                    known.transfer_syntax,
                    known.offset,
                    known.length,
                )
            ]
        )


@pytest.mark.requirement("WSI-01", "WSI-03")
def test_slides_of_other_makers(real_data: Path) -> None:
    cmu = sorted((real_data / "wsi" / "dicom_cmu1").glob("*.dcm"))
    boxes = real_data / "wsi" / "openslide-fixtures" / "boxes_0.dcm"
    for paths in (cmu, [boxes], [*(real_data / "dicom" / "highdicom").glob("sm_image_jpegls*")]):
        assert paths
        slide = opened(*paths)
        assert slide is not None, paths
        assert same_bytes(slide, *paths)
    native = real_data / "dicom" / "highdicom" / "sm_image.dcm"
    assert opened(native) is None
