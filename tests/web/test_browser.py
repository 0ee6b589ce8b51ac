"""The pages in a real browser, on a real server: what is seen, where the keyboard leads, what changes while one looks.

No page may ask anybody but its server, say anything on the console, or break what axe-core knows of accessibility. Every page is
saved as it was seen, wide and narrow, light and dark, in the folder `screenshots/`, to be looked at.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mainspring.clock import HOUR
from mainspring.ledger import Alert
from mainspring.ledger.alerts import put_alerts
from mainspring.web.links import alert_path
from mainspring.workspace import Workspace
from tests.loop.living import BEGIN, DAYS, END, STEP, TURNING, live_through, made

ROOT = Path(__file__).parents[2]
SHOTS = ROOT / "screenshots"
PAGES = ["now", "quality", "features", "models", "loop", "replays", "alerts", "facts"]
BEHIND = ["a model", "two models", "an alert", "a table", "a query", "a query that fails", "a replay", "no such page"]
AXE = ROOT / ".axe/node_modules/axe-core/axe.min.js"
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


def _needed(found: object, what: str, how: str) -> None:
    if found:
        return
    if os.environ.get("CI"):
        pytest.fail(f"CI must have {what}: {how}")
    pytest.skip(f"{what} is not installed: {how}")


class Served(NamedTuple):
    address: str
    keys: dict[str, str]
    workspace: Workspace


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server whose loop has lived for two weeks: it has trained, tried and promoted models, and raised alerts."""
    workspace = made(tmp_path_factory.mktemp("served"), TURNING, DAYS)
    live_through(TURNING, workspace, BEGIN, END, STEP)
    replaying = ["replay", str(Path(__file__).with_name("served.py")), "--start", "2024-01-21"]
    _mainspring(*replaying, "--workspace", str(workspace.root))
    keys = {
        role: workspace.ledger.keys.add(role, created_at=0, name=f"a key to {role}")[1]
        for role in ("read", "write", "admin")
    }
    command = [sys.executable, "-m", "mainspring", "serve", str(Path(__file__).with_name("served.py")), "--port", "0"]
    more = ["--workspace", str(workspace.root), "--step", "12h", "--flush", "1s", "--json"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [*command, *more], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as server:
        assert server.stdout is not None
        try:
            told = json.loads(_document(server.stdout))
            assert "address" in told, told
            yield Served(told["address"], keys, workspace)
        finally:
            server.terminate()
            server.wait(30)


def _mainspring(*arguments: str) -> None:
    command = [sys.executable, "-m", "mainspring", *arguments]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def _document(lines: Any) -> str:
    text = ""
    for line in lines:
        text += line
        with contextlib.suppress(json.JSONDecodeError):
            json.loads(text)
            return text
    raise AssertionError(f"the server said nothing: {text}")


@pytest.fixture(scope="module")
def browser(served: Served) -> Iterator[Any]:  # which runs an event loop of its own before Playwright does
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    _needed(chromium, "Chromium", "apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield launched
        launched.close()


class Look:
    """A browser window that has signed in, and all that it has asked for and said."""

    def __init__(self, browser: Any, served: Served, role: str, **options: Any) -> None:
        self.served, self.asked, self.said = served, [], []
        self.context = browser.new_context(viewport=options.pop("viewport", WIDE), **options)
        self.page = self.context.new_page()
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on(
            "console", lambda message: self.said.append(message.text) if message.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.open("now")
        self.page.get_by_label("API key").fill(served.keys[role])
        self.page.keyboard.press("Enter")
        self.page.wait_for_url("**/ui/now")

    def open(self, path: str) -> Any:
        self.page.goto(f"{self.served.address}/ui/{path}")
        return self.page

    def settled(self) -> None:
        """Wait until every chart is drawn."""
        self.page.locator(".chart:not([data-drawn=yes])").first.wait_for(state="detached")

    def check(self) -> None:
        """Nothing was asked of anybody else, and nothing was amiss."""
        strangers = [url for url in self.asked if not url.startswith((self.served.address, "data:"))]
        assert strangers == []
        assert "\n".join(self.said) == ""


@pytest.fixture
def looks(browser: Any, served: Served) -> Iterator[Any]:
    opened: list[Look] = []

    def look(role: str = "read", **options: Any) -> Look:
        opened.append(Look(browser, served, role, **options))
        return opened[-1]

    yield look
    for each in opened:
        each.context.close()
    for each in opened:
        each.check()


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("seen", ["light", "dark", "phone"])
def test_every_page_as_it_is_seen(looks: Any, path: str, seen: str) -> None:
    options = {"color_scheme": "dark" if seen == "dark" else "light", "viewport": PHONE if seen == "phone" else WIDE}
    look = looks("admin", **options)
    page = look.open(path)
    look.settled()
    assert page.locator("h1").count() == 1
    assert page.locator('nav [aria-current="page"]').get_attribute("href") == f"/ui/{path}"
    assert "cannot be shown" not in page.locator("h1").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than its window"
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(20, 23, 27)") == (seen == "dark")
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / f"{path}-{seen}.png", full_page=True)


def behind(served: Served, what: str) -> str:
    """The path of a page that lies behind one of the eight."""
    ledger = served.workspace.ledger
    models = [arm.model for each in ledger.deployments.history(TURNING.name) for arm in each.arms]
    replayed = next(run.name for run in ledger.runs(system=TURNING.name) if run.kind == "replay")
    return {
        "a model": f"models/{models[0]}",
        "two models": f"models?a={models[0]}&b={models[-1]}",
        "an alert": alert_path(ledger.alerts.history(TURNING.name, limit=1)[0].alert.id).removeprefix("/ui/"),
        "a table": "facts/delivery",
        "a query": "facts?query=select+shop,+count(*)+as+n+from+delivery+group+by+shop",
        "a query that fails": "facts?query=drop+table+delivery",
        "a replay": f"replays/{replayed}",
        "no such page": "elsewhere/<script>alert(1)</script>",
    }[what]


@pytest.mark.parametrize("what", BEHIND)
def test_every_page_behind_them(looks: Any, served: Served, what: str) -> None:
    for seen in ("light", "phone"):
        look = looks("admin", viewport=PHONE if seen == "phone" else WIDE)
        page = look.open(behind(served, what))
        look.settled()
        assert page.locator("h1").count() == 1
        assert page.locator("h1").inner_text() != "This page cannot be shown"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page is wider than its window"
        page.screenshot(path=SHOTS / f"{what.replace(' ', '-')}-{seen}.png", full_page=True)
        if what in ("no such page", "a query that fails"):
            look.said.clear()  # the browser tells of the status


@pytest.mark.parametrize("path", ["login", *PAGES, *BEHIND])
def test_no_page_shuts_anybody_out(looks: Any, served: Served, path: str) -> None:
    """axe-core finds nothing that is serious, in light and in the dark."""
    _needed(AXE.exists(), "axe-core", "npm install --prefix .axe axe-core")
    for scheme in ("light", "dark"):
        look = looks("admin", color_scheme=scheme)
        page = look.open(behind(served, path) if path in BEHIND else path)
        if path != "login":
            look.settled()
            page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        page.evaluate(AXE.read_text())
        found = page.evaluate("axe.run().then((found) => found.violations)")
        serious = [each for each in found if each["impact"] in ("serious", "critical")]
        assert [(each["id"], [node["html"][:200] for node in each["nodes"][:3]]) for each in serious] == []
        if path in ("no such page", "a query that fails"):
            look.said.clear()


def test_the_keyboard_leads_everywhere(looks: Any) -> None:
    page = looks().open("now")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the page"
    reached = set()
    for _ in range(len(PAGES) + 3):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.getAttribute('href')"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none"
    assert {f"/ui/{name}" for name in PAGES} <= reached
    page.get_by_role("link", name="Models").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/ui/models")
    assert page.locator("h1").inner_text() == "Models"


def test_an_alert_appears_while_the_page_is_open_and_what_one_reads_stays(looks: Any, served: Served) -> None:
    page = looks().open("now")
    page.evaluate("window.scrollTo(0, 200)")
    page.get_by_role("link", name="Quality").first.focus(timeout=5000)
    page.evaluate("window.scrollTo(0, 200)")
    read = "document.querySelector('#figures h2').getBoundingClientRect().top"
    before = page.evaluate(read)
    appeared = Alert(
        id="disk-1", monitor="the disk fills", kind="operations", severity="page", owner="whoever is on call", abouts=(),
        opened_at=END, told="Two <b>hours</b> are left.", fate="sent", sent=("page",),
    )  # fmt: skip
    with served.workspace.ledger._database.writing() as connection:
        put_alerts(connection, TURNING.name, [appeared])
    page.get_by_text("Two <b>hours</b> are left.").first.wait_for(timeout=15_000)
    assert page.evaluate("window.scrollY") > 0
    assert abs(page.evaluate(read) - before) < 40  # as one line is more above it
    assert page.evaluate("document.activeElement.getAttribute('href')") == "/ui/quality"
    assert "whoever is on call" in page.locator("#alerts").inner_text()


def test_an_admin_promotes_a_model_with_a_reason_and_a_reader_cannot(looks: Any, served: Served) -> None:
    ledger = served.workspace.ledger
    before = ledger.deployments.current(TURNING.name)
    assert before is not None
    champion = before.arms[0].model
    other = next(
        arm.model for each in ledger.deployments.history(TURNING.name) for arm in each.arms if arm.model != champion
    )
    reader = looks("read").open(f"models/{other}")
    assert reader.get_by_role("textbox").count() == 0
    page = looks("admin").open(f"models/{other}")
    page.get_by_label(re.compile("reason", re.I)).first.fill("it is better on weekends")
    with page.expect_response(re.compile("/ui/models")):
        page.keyboard.press("Enter")
    now = ledger.deployments.current(TURNING.name)
    assert now is not None
    assert ([arm.model for arm in now.arms], now.reason, now.by) == (
        [other],
        "it is better on weekends",
        "a key to admin",
    )
    assert "it is better on weekends" in looks("read").open("models").locator("main").inner_text()


def test_a_session_that_is_over_leads_back_to_signing_in(looks: Any, served: Served) -> None:
    keys = served.workspace.ledger.keys
    key, text = keys.add("read", created_at=0, name="soon revoked")
    look = looks()
    look.page.get_by_role("button", name="Sign out").click()
    look.page.wait_for_url("**/ui/login")
    look.page.get_by_label("API key").fill("msk_wrong")
    look.page.keyboard.press("Enter")
    assert look.page.get_by_role("alert").inner_text().startswith("The API key is not valid")
    look.said.clear()  # the browser tells of the 401
    look.page.get_by_label("API key").fill(text)
    look.page.keyboard.press("Enter")
    look.page.wait_for_url("**/ui/now")
    keys.revoke(key.id, revoked_at=HOUR)
    look.page.wait_for_url("**/ui/login?after=*", timeout=20_000)
    look.said.clear()


def test_without_scripts_all_is_there_but_the_drawings(browser: Any, served: Served) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{served.address}/ui/now")
    page.get_by_label("API key").fill(served.keys["read"])
    page.keyboard.press("Enter")
    page.wait_for_url("**/ui/now")
    for path in PAGES:
        page.goto(f"{served.address}/ui/{path}")
        assert page.locator("h1").count() == 1
    context.close()
