"""The gate to the pages: who has signed in sees them, and changes only what comes from a form of theirs.

Nothing of a page is told to anybody else, not even whether it exists. A page may load what this server holds and nothing
more: scripts, styles and charts are files of its own, and no script stands in a page.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from mainspring.errors import MainspringError, ServingError
from mainspring.ledger import AlertLog
from mainspring.page.components import html
from mainspring.serving.handlers import Site
from mainspring.serving.problems import status_of
from mainspring.web import changes
from mainspring.web.asked import CSRF_PLACE, WHO_PLACE, Asked, ServerTold
from mainspring.web.assets import asset
from mainspring.web.kept import KeptPages
from mainspring.web.renderer import Renderer
from mainspring.web.sessions import Session, Sessions
from mainspring.web.shell import login_page, refused_page
from mainspring.web.traffic import Traffic

__all__ = ["Gate", "dashboard"]

_log = logging.getLogger("mainspring.web")
COOKIE = "mainspring_session"
ROOT = "/ui"
_LONGEST_FORM = 64 * 1024
_SAMPLE_SECONDS = 5.0
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


def dashboard(
    site: Site, alerts: AlertLog, arguments: Sequence[str], *, seconds: float = 60.0, query_seconds: float = 20.0
) -> Gate:
    """Return the pages of a server. `arguments` say what it serves: the file, the workspace and the fingerprint.

    A page may take `seconds` to be made, a query of a person `query_seconds`.
    """
    pages, queries = Renderer(arguments, seconds), Renderer(arguments, query_seconds)
    return Gate(site, alerts, KeptPages(pages.render, pages.end), KeptPages(queries.render, queries.end))


class Gate:
    """The ASGI application of everything below /ui."""

    root = ROOT

    def __init__(self, site: Site, alerts: AlertLog, pages: KeptPages, queries: KeptPages) -> None:
        """`pages` are made for everybody; `queries` of people apart from them, so that one which takes long costs no other page."""
        self._site, self._alerts, self._pages, self._queries = site, alerts, pages, queries
        self._sessions = Sessions(site.front.access)
        self._traffic = Traffic(site.front.metrics)
        self._counted = site.front.metrics.of_route("page")
        self._app = Starlette(
            routes=[
                Route(ROOT, self._home),
                Route(f"{ROOT}/", self._home),
                Route(f"{ROOT}/login", self._login, methods=["GET", "POST"]),
                Route(f"{ROOT}/logout", self._logout, methods=["POST"]),
                Route(f"{ROOT}/static/{{name}}", self._static),
                Route(f"{ROOT}/change/{{what}}", self._change, methods=["POST"]),
                Route(f"{ROOT}/{{path:path}}", self._page),
            ],
            exception_handlers={Exception: _failed},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begin = time.perf_counter()
        status = 500

        async def sent(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, sent)
        except Exception:  # whoever asked has been told already
            _log.exception("a page failed", extra={"route": scope["path"]})
        finally:
            self._counted(status, "", time.perf_counter() - begin)

    async def live(self) -> None:
        """Sample the traffic as long as the server lives; the processes that make pages end with it."""
        try:
            while True:
                self._traffic.sample(self._site.clock.now())
                await asyncio.sleep(_SAMPLE_SECONDS)
        finally:
            await self._pages.end()
            await self._queries.end()

    # -- who it is -------------------------------------------------------------------------------------------------------

    def _session(self, request: Request) -> Session | None:
        cookie = request.cookies.get(COOKIE)
        return None if cookie is None else self._sessions.find(cookie, self._site.clock.now())

    async def _home(self, request: Request) -> Response:
        return _to(f"{ROOT}/now")

    async def _login(self, request: Request) -> Response:
        name, after = self._site.service.predictor.system.name, _inside(request.query_params.get("after", ""))
        if request.method == "GET":
            return _html(200, login_page(name, after))
        refused = _stranger(request)
        form = {} if refused else await _form(request)
        grant = refused or self._site.front.access.check(form.get("key", "").strip(), "read")
        if isinstance(grant, ServingError):
            return _html(status_of(grant), login_page(name, _inside(form.get("after", "")), str(grant.problem)))
        session = self._sessions.begin(grant, self._site.clock.now())
        response = _to(_inside(form.get("after", "")) or f"{ROOT}/now")
        response.set_cookie(
            COOKIE, session.cookie, path=ROOT, httponly=True, samesite="lax", secure=request.url.scheme == "https"
        )
        return response

    async def _logout(self, request: Request) -> Response:
        session = self._session(request)
        if session is not None and _refused_form(request, session, await _form(request)) is None:
            response = _to(f"{ROOT}/login")
            response.delete_cookie(COOKIE, path=ROOT)
            return response
        return _to(f"{ROOT}/login")

    # -- what is seen ----------------------------------------------------------------------------------------------------

    async def _static(self, request: Request) -> Response:
        found = await asyncio.to_thread(asset, request.path_params["name"])
        if found is None:
            return _html(404, refused_page("There is no such file.", ""))
        body, kind = found
        headers = _HEADERS | {"cache-control": "public, max-age=31536000, immutable"}  # the name holds its digest
        return Response(body, media_type=kind, headers=headers)

    async def _page(self, request: Request) -> Response:
        session = self._session(request)
        path, query = request.path_params["path"], dict(request.query_params)
        if session is None:
            if "if-none-match" in request.headers:  # the script of an open page asks: it lets the browser sign in again
                return _html(401, refused_page("Nobody is signed in.", ""))
            wanted = f"{ROOT}/{path}" + (f"?{request.url.query}" if request.url.query else "")
            return _to(f"{ROOT}/login?after={quote(wanted, safe='')}")
        wait = self._site.front.rates.admit(session.grant.key, time.monotonic_ns() // 1000)
        if wait:
            return _html(429, refused_page(self._site.front.rates.refusal(wait).problem, "Wait a moment."))
        asked = Asked(path=path, query=query, role=session.grant.role, wall=self._site.clock.now(), server=self._told())
        pages = self._queries if path == "facts" and query.get("query") else self._pages
        try:
            shown, digest = await pages.show(asked)
        except ServingError as error:
            return _html(status_of(error), refused_page(error.problem, error.fix))
        tag = f'"{digest}-{session.csrf[:8]}"'
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=_HEADERS | {"etag": tag})
        who = session.grant.name or f"key {session.grant.key}"
        body = shown.html.replace(CSRF_PLACE, session.csrf).replace(WHO_PLACE, html(f"{who}, may {session.grant.role}"))
        return _html(shown.status, body, {"etag": tag})

    def _told(self) -> ServerTold:
        service, skew = self._site.service, self._site.skew()
        return ServerTold(
            now=service.clock.now(),
            follows_facts=service.follows_facts,
            traffic=self._traffic.told(),
            problems=[told for problem in self._site.problems if (told := problem())],
            skew_predictions=skew.predictions,
            skew_different=dict(skew.different),
        )

    # -- what is changed -------------------------------------------------------------------------------------------------

    async def _change(self, request: Request) -> Response:
        session = self._session(request)
        if session is None:
            return _html(401, refused_page("Nobody is signed in.", "Sign in, and do it again."))
        form = await _form(request)
        back = _inside(form.get("back", "")) or f"{ROOT}/now"
        refused: MainspringError | None = _refused_form(request, session, form)
        if refused is None:
            try:
                await asyncio.to_thread(
                    changes.change, request.path_params["what"], form, self._site, self._alerts, session.grant
                )
            except MainspringError as error:
                refused = error
        if refused is not None:
            fix = " ".join(filter(None, (refused.exists, refused.fix)))
            return _html(status_of(refused), refused_page(refused.problem, fix, back))
        self._pages.forget()
        return _to(back)


async def _failed(request: Request, error: Exception) -> Response:
    return _html(500, refused_page("It failed for a reason of ours, which the server's log tells.", "Try again."))


def _to(path: str) -> Response:
    return RedirectResponse(path, status_code=303, headers=_HEADERS)


def _html(status: int, text: str, more: dict[str, str] | None = None) -> Response:
    return Response(text, status_code=status, media_type="text/html", headers=_HEADERS | (more or {}))


def _inside(path: str) -> str:
    """A path of these pages, to go on to; nothing for any other."""
    parts = urlsplit(path)
    safe = not parts.scheme and not parts.netloc and path.startswith(f"{ROOT}/") and "\\" not in path
    return path if safe and path.isprintable() else ""


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form; none of one that is too long or no text."""
    body = b""
    try:
        async for part in request.stream():
            body += part
            if len(body) > _LONGEST_FORM:
                return {}
    except ClientDisconnect:
        return {}
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=50))


def _stranger(request: Request) -> ServingError | None:
    """Why a form does not come from a page of this server, as the browser tells."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site in (None, "same-origin") and (origin is None or urlsplit(origin).netloc == request.headers.get("host")):
        return None
    return ServingError("SERVE_FORM", "This form came from another site.", fix="Open the page here, and do it again.")


def _refused_form(request: Request, session: Session, form: dict[str, str]) -> ServingError | None:
    """Why a form changes nothing: it came from elsewhere, or does not bring what only a page of this session has."""
    if refused := _stranger(request):
        return refused
    if hmac.compare_digest(form.get("token", "").encode(), session.csrf.encode()):
        return None
    return ServingError("SERVE_FORM", "The form is of another session, or none.", fix="Open the page, and do it again.")
