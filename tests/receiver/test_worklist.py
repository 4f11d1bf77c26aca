"""The work list over HTTP: identity, slots, progress."""

from __future__ import annotations

from tests.receiver.conftest import ViewerServer
from tests.receiver.filled import client


def test_slide_and_ct_in_one_list(viewer_server: ViewerServer) -> None:
    filled = viewer_server.filled
    ct = filled.ct(count=5, arrived=3)
    slide = filled.slide()
    slide.lay_out(0)
    slide.send(0)
    with client(viewer_server.url) as page:
        rows = {row["key"]: row for row in page.get("/api/worklist").json()["rows"]}
        assert (rows[ct]["arrived"], rows[ct]["expected"], rows[ct]["kind"]) == (3, 5, "dicom")
        assert (rows[slide.key]["arrived"], rows[slide.key]["expected"]) == (4, 4 + 9 + 30)
        assert rows[slide.key]["kind"] == "slide"
        assert rows[ct]["patient"]["ideographic"] == "髙橋 花子"
        assert rows[ct]["patient"]["age"] == 68
        series = page.get(f"/api/studies/{ct}").json()["series"]
        assert [i["state"] for i in series[0]["instances"]] == ["stored"] * 3 + ["expected"] * 2
        levels = page.get(f"/api/studies/{slide.key}").json()["series"][0]["slide"]
        assert [level["columns"] for level in levels["levels"]] == [384, 192, 96]
        assert levels["icc"] is True
        print(levels)
