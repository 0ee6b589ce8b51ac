"""The gate: nothing of a page is told to whoever has not signed in, and nothing is changed but by a form of one's own page."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.clock import DAY, HOUR, SECOND
from mainspring.errors import ServingError
from mainspring.ledger import Alert, Ledger
from mainspring.ledger.alerts import put_alerts
from mainspring.ledger.keys import ROLES
from mainspring.page.components import element
from mainspring.serving import Access
from mainspring.serving.app import make_app
from mainspring.serving.facts_clock import FactsClock
from mainspring.web.asked import Asked, Shown
from mainspring.web.gate import COOKIE, Gate, _inside
from mainspring.web.kept import KeptPages
from mainspring.web.shell import Page, form, page_document
from tests.serving.shop import BEGIN, Deployer, empty_lake, open_shop

SECRET = "what only who has signed in may see"
ALERT = Alert(
    id="drift-1", monitor="drift", kind="features", severity="ticket", owner="", abouts=("wind",), opened_at=BEGIN,
    told="wind has moved", fate="sent", sent=("ticket",),
)  # fmt: skip


class Site:
    """A server with pages that are made here, asked without a network."""

    def __init__(self, folder: Path) -> None:
        self.lake = empty_lake(folder)
        self.service, self.log = open_shop(folder / "log", self.lake)
        self.ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}")
        self.keys = {role: self.ledger.keys.add(role, created_at=0, name=f"one to {role}") for role in ROLES}
        self.clock = FactsClock(BEGIN)
        self.asked: list[Asked] = []
        self.deployer = Deployer(self.service)
        self.fails: ServingError | None = None
        with self.ledger._database.writing() as connection:
            put_alerts(connection, "deliveries", [ALERT])
        self.app = make_app(
            self.service, Access(self.ledger.keys, self.clock), lake=self.lake, log=self.log, deployed=self.deployer,
            clock=self.clock,
            pages=lambda site: Gate(
                site, self.ledger.alerts, KeptPages(self._render, self._end), KeptPages(self._render, self._end)
            ),
        )  # fmt: skip

    async def _render(self, asked: Asked) -> Shown:
        self.asked.append(asked)
        if self.fails is not None:
            raise self.fails
        page = Page("Now", SECRET, [form("promote", "/ui/models", element("button", "Promote"))])
        return Shown(200, page_document(page, system="deliveries", at=asked.path, open_alerts=1, bad=False))

    async def _end(self) -> None:
        pass

    def ask(self, talk: Callable[[httpx.AsyncClient], Awaitable[Any]], cookie: str | None = None) -> Any:
        async def run() -> Any:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=True)
            cookies = {COOKIE: cookie} if cookie else None
            async with httpx.AsyncClient(transport=transport, base_url="http://server", cookies=cookies) as client:
                return await talk(client)

        return asyncio.run(run())

    def get(self, path: str, cookie: str | None = None, **headers: str) -> httpx.Response:
        return self.ask(lambda client: client.get(path, headers=_headers(headers)), cookie)

    def post(self, path: str, cookie: str | None = None, fields: dict[str, str] | None = None, **headers: str) -> Any:
        return self.ask(lambda client: client.post(path, data=fields or {}, headers=_headers(headers)), cookie)

    def sign_in(self, role: str) -> str:
        answer = self.post("/ui/login", fields={"key": self.keys[role][1]})
        assert (answer.status_code, answer.headers["location"]) == (303, "/ui/now")
        return answer.cookies[COOKIE]

    def token(self, cookie: str) -> str:
        found = re.search(r'name="token" value="(\w+)"', self.get("/ui/now", cookie).text)
        assert found is not None
        return found[1]


def _headers(given: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in given.items()}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.log.close()


def test_who_has_signed_in_sees_pages(site: Site) -> None:
    cookie = site.sign_in("read")
    shown = site.get("/ui/quality?by=week", cookie)
    assert shown.status_code == 200
    assert SECRET in shown.text
    assert "one to read, may read" in shown.text
    assert (site.asked[-1].path, site.asked[-1].query, site.asked[-1].role) == ("quality", {"by": "week"}, "read")
    assert "@@" not in shown.text


@pytest.mark.parametrize(
    "path", ["/ui", "/ui/", "/ui/now", "/ui/no-such-page", "/ui/alerts/drift-1", "/ui/change/promote"]
)
def test_without_signing_in_nothing_is_told(site: Site, path: str) -> None:
    for cookie in (None, "", "msk_x", "a.b.c", f"{site.keys['admin'][0].id}.99999999999.{'0' * 64}"):
        answer = site.get(path, cookie)
        assert answer.status_code in (303, 405)
        assert SECRET not in answer.text
    assert site.asked == []
    followed = site.get("/ui/now").headers["location"]
    assert followed == "/ui/login?after=%2Fui%2Fnow"
    assert SECRET not in site.get(followed).text
    assert (
        site.get("/ui/now", if_none_match='"x"').status_code == 401
    )  # the script of a page that was open is told plainly


def test_a_cookie_holds_no_key_and_is_no_script_s(site: Site) -> None:
    answer = site.post("/ui/login", fields={"key": site.keys["admin"][1], "after": "/ui/alerts?page=2"})
    told = answer.headers["set-cookie"]
    assert answer.headers["location"] == "/ui/alerts?page=2"
    assert "HttpOnly" in told
    assert "SameSite=lax" in told
    assert "Path=/ui" in told
    assert site.keys["admin"][1].rpartition("_")[2] not in told


def test_a_wrong_key_is_refused_and_told_so(site: Site) -> None:
    for key in ("", "msk_wrong", site.keys["read"][1][:-1]):
        answer = site.post("/ui/login", fields={"key": key})
        assert answer.status_code == 401
        assert "not valid" in answer.text
        assert "set-cookie" not in answer.headers


def test_a_session_ends_with_its_key_and_after_half_a_day(site: Site) -> None:
    cookie, other = site.sign_in("write"), site.sign_in("read")
    site.ledger.keys.revoke(site.keys["write"][0].id, revoked_at=1)
    site.clock.saw(BEGIN + 2 * SECOND)
    assert site.get("/ui/now", cookie).status_code == 303
    assert site.get("/ui/now", other).status_code == 200
    site.clock.saw(BEGIN + 12 * HOUR + SECOND)
    assert site.get("/ui/now", other).status_code == 303


def test_signing_out_takes_the_cookie_away(site: Site) -> None:
    cookie = site.sign_in("read")
    answer = site.post("/ui/logout", cookie, {"token": site.token(cookie)})
    assert answer.headers["location"] == "/ui/login"
    assert 'mainspring_session=""' in answer.headers["set-cookie"]


def test_what_a_page_may_load(site: Site) -> None:
    for path in ("/ui/login", "/ui/now"):
        answer = site.get(path, site.sign_in("read"))
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["cache-control"] == "no-store"
        assert not re.search(r"<script(?![^>]* src=)|<style| style=| on\w+=|https?://", answer.text)
        for file in re.findall(r'(?:src|href)="(/ui/static/[^"]+)"', answer.text):
            found = site.get(file)
            assert found.status_code == 200
            assert "immutable" in found.headers["cache-control"]
    assert site.get("/ui/static/style.css").status_code == 404  # a name holds a digest
    assert SECRET not in site.get("/ui/static/..%2f..%2fpyproject.toml").text


def test_a_page_that_has_not_changed_is_not_sent_again(site: Site) -> None:
    cookie = site.sign_in("read")
    tag = site.get("/ui/now", cookie).headers["etag"]
    again = site.get("/ui/now", cookie, if_none_match=tag)
    assert (again.status_code, again.content) == (304, b"")
    assert site.get("/ui/now", site.sign_in("write"), if_none_match=tag).status_code == 200  # another's page


def test_an_admin_promotes_with_a_reason_that_is_kept(site: Site) -> None:
    cookie = site.sign_in("admin")
    fields = {"token": site.token(cookie), "back": "/ui/models", "model": "m2", "reason": "  it is\nbetter  "}
    answer = site.post("/ui/change/promote", cookie, fields, origin="http://server", sec_fetch_site="same-origin")
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/models")
    assert [(arm.role, arm.model) for arm in site.deployer.told().arms] == [("champion", "m2")]
    assert site.deployer.told().reason == "it is better"
    assert site.deployer.told().by == "one to admin"


@pytest.mark.parametrize(
    ("role", "fields", "headers", "status"),
    [
        ("admin", {"token": ""}, {}, 403),
        ("admin", {"token": "0" * 64}, {}, 403),
        ("admin", {}, {"origin": "http://elsewhere"}, 403),
        ("admin", {}, {"sec_fetch_site": "cross-site"}, 403),
        ("admin", {"reason": ""}, {}, 400),
        ("admin", {"reason": "x"}, {}, 400),
        ("admin", {"model": ""}, {}, 400),
        ("write", {}, {}, 403),
        ("read", {}, {}, 403),
    ],
)
def test_what_changes_nothing(
    site: Site, role: str, fields: dict[str, str], headers: dict[str, str], status: int
) -> None:
    before = site.deployer.told()
    cookie = site.sign_in(role)
    given = {"token": site.token(cookie), "back": "/ui/models", "model": "m2", "reason": "it is better"} | fields
    answer = site.post("/ui/change/promote", cookie, given, **headers)
    assert answer.status_code == status
    assert 'role="alert"' in answer.text
    assert site.deployer.told() == before


def test_the_token_of_another_session_changes_nothing(site: Site) -> None:
    theirs = site.token(site.sign_in("write"))
    cookie = site.sign_in("admin")
    fields = {"token": theirs, "model": "m2", "reason": "it is better"}
    assert site.post("/ui/change/promote", cookie, fields).status_code == 403


def test_alerts_are_looked_after_and_silenced_by_who_may_write(site: Site) -> None:
    cookie = site.sign_in("write")
    token = {"token": site.token(cookie)}
    assert site.post("/ui/change/acknowledge", cookie, token | {"alert": "drift-1"}).status_code == 303
    (kept,) = site.ledger.alerts.open("deliveries")
    assert kept.acknowledged_by == "one to write"
    silence = {"monitor": "drift", "span": "1d", "reason": "a known season"}
    assert site.post("/ui/change/silence", cookie, token | silence).status_code == 303
    (held,) = site.ledger.alerts.silences("deliveries", BEGIN)
    assert (held.monitor, held.until - held.at, held.reason, held.by) == (
        "drift",
        DAY,
        "a known season",
        "one to write",
    )
    assert site.post("/ui/change/unsilence", cookie, token | {"monitor": "drift"}).status_code == 303
    assert site.ledger.alerts.silences("deliveries", BEGIN) == []
    assert site.post("/ui/change/silence", cookie, token | silence | {"span": "soon"}).status_code == 422
    assert site.post("/ui/change/acknowledge", cookie, token | {"alert": "none"}).status_code == 422
    assert site.post("/ui/change/explode", cookie, token).status_code == 404
    reader = site.sign_in("read")
    refused = site.post("/ui/change/acknowledge", reader, {"token": site.token(reader), "alert": "drift-1"})
    assert refused.status_code == 403


def test_a_page_that_cannot_be_made_says_so(site: Site) -> None:
    site.fails = ServingError("SERVE_UNAVAILABLE", "The page was not made within 30 seconds.", fix="Ask for less.")
    answer = site.get("/ui/now", site.sign_in("read"))
    assert answer.status_code == 503
    assert "not made within 30 seconds. " not in answer.text
    assert "Ask for less." in answer.text


def test_a_browser_is_led_to_the_pages_and_a_program_is_not(site: Site) -> None:
    browser = site.get("/", accept="text/html,*/*")
    assert (browser.status_code, browser.headers["location"]) == (303, "/ui/")
    assert site.get("/", accept="*/*").status_code == 200


def test_a_form_that_is_too_long_is_none(site: Site) -> None:
    cookie = site.sign_in("admin")
    fields = {"token": site.token(cookie), "model": "m2", "reason": "long" * 50_000}
    assert site.post("/ui/change/promote", cookie, fields).status_code == 403


def test_pages_are_counted_and_no_slo_s(site: Site) -> None:
    site.get("/ui/now", site.sign_in("read"))
    metrics = site.ask(
        lambda client: client.get("/metrics", headers={"authorization": f"Bearer {site.keys['read'][1]}"})
    )
    assert 'mainspring_answers_total{route="page",status="200"}' in metrics.text


@given(st.text(max_size=30) | st.from_regex(r"(/ui/|//|/|https?:)[a-z/\\:.@?=]{0,12}", fullmatch=True))
def test_one_goes_on_inside_or_not_at_all(path: str) -> None:
    found = _inside(path)
    assert found in ("", path)
    assert not found or (found.startswith("/ui/") and "\\" not in found)
