"""Two accounts in one browser: a page that was left open acts for its own reader or not at all."""

from __future__ import annotations

import pytest

from common.web.guard import AS_HEADER
from receiver.standings import Standings
from tests.receiver.filled import PASSWORD, USER, Filled, client


@pytest.mark.requirement("AUT-01")
def test_nothing_is_done_in_the_name_of_who_signed_in_later(filled: Filled) -> None:
    key = filled.ct(count=1)
    filled.user("小林", display="小林医師")
    with filled.serve() as url, client(url) as browser:
        mine = {AS_HEADER: USER}
        assert browser.get("/api/worklist", headers=mine).status_code == 200
        browser.post("/api/sign-in", json={"name": "小林", "password": PASSWORD})
        for path in ("opened", "claim"):
            refused = browser.post(f"/api/studies/{key}/{path}", json={}, headers=mine)
            assert refused.status_code == 401, path
        assert browser.get("/api/worklist", headers=mine).status_code == 401
        assert Standings(filled.index).history(key) == []
        theirs = {AS_HEADER: "%E5%B0%8F%E6%9E%97"}
        claimed = browser.post(f"/api/studies/{key}/claim", json={}, headers=theirs)
        assert claimed.status_code == 204
    assert [one["by"] for one in Standings(filled.index).history(key)] == ["小林"]
