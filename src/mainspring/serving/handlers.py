"""What each operation does: from a request to the service, and from its answer to a document."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import msgspec

import mainspring
from mainspring.answers import Arm, Arms, Failure, Judged, Kept, Outcome, Pending, Prediction
from mainspring.clock import Clock, format_instant, parse_instant
from mainspring.errors import DeclarationError, MainspringError, ServingError
from mainspring.lake import Lake
from mainspring.serving import open_inference
from mainspring.serving.ahead import Ahead
from mainspring.serving.front import Answer, Call, Front, event_of
from mainspring.serving.metrics import Metrics
from mainspring.serving.past import find_judged, find_outcome
from mainspring.serving.predictor import Asked
from mainspring.serving.problems import body_of, status_of
from mainspring.serving.records import DecisionAsked
from mainspring.serving.rewinding import rewind_service
from mainspring.serving.router import Router
from mainspring.serving.service import Service
from mainspring.serving.skew import Skew
from mainspring.stream import EmbeddedLog

__all__ = ["Deploys", "Site", "decode_predict"]

_log = logging.getLogger("mainspring.serving")
_PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "x-content-type-options": "nosniff",
}
_HTML = "text/html; charset=utf-8"


class Deploys(Protocol):
    """Knows which arms answer and changes them; `serving.deployed.Deployed` is the one that a server has."""

    @property
    def router(self) -> Router: ...
    def refresh(self) -> bool: ...
    def deploy(self, arms: list[Arm], *, clock: Clock, by: str = "", reason: str = "") -> Arms: ...
    def told(self) -> Arms: ...


@dataclass(eq=False)
class Site:
    """All that the handlers of one server need."""

    service: Service
    lake: Lake
    log: EmbeddedLog
    deployed: Deploys
    front: Front
    clock: Clock  # real time, for the record of who changed what
    ahead: Ahead | None = None  # predictions that are made ahead
    problems: list[Callable[[], str]] = field(
        default_factory=list
    )  # each tells what keeps the server from its work, or ""
    skew: Callable[[], Skew] = lambda: Skew(0, {})  # what the last check of features found
    pages: str = ""  # where pages for people begin

    @cached_property
    def documents(self) -> tuple[bytes, bytes, bytes]:
        """The OpenAPI document, the page that explains it, and the first page."""
        from mainspring.serving.openapi import openapi_document
        from mainspring.serving.pages import docs_page, first_page

        document = openapi_document(self.service.predictor.system)
        return msgspec.json.encode(document), docs_page(document), first_page()


class _PredictRequest(msgspec.Struct, forbid_unknown_fields=True):
    row: dict[str, bool | int | float | str | None] | None = None
    rows: list[dict[str, bool | int | float | str | None]] | None = None
    key: dict[str, bool | int | float | str | None] | str | int | None = None
    keys: list[dict[str, bool | int | float | str | None] | str | int] | None = None
    explain: bool = False

    def one(self) -> Asked | None:
        """The one decision that is asked for; None where it is asked for many, for none, or in two ways."""
        if self.rows is not None or self.keys is not None or (self.row is None) is (self.key is None):
            return None
        return Asked(self.row, explain=self.explain) if self.key is None else Asked(self.key, True, self.explain)


class _ArmRequest(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    role: str
    model: str
    share: float = 0.0


class _ArmsRequest(msgspec.Struct, forbid_unknown_fields=True):
    arms: list[_ArmRequest]
    reason: str = ""


class _RewindRequest(msgspec.Struct, forbid_unknown_fields=True):
    to: str


decode_predict = msgspec.json.Decoder(_PredictRequest).decode
_decode_arms = msgspec.json.Decoder(_ArmsRequest).decode
_decode_rewind = msgspec.json.Decoder(_RewindRequest).decode


# -- facts, decisions, outcomes ----------------------------------------------------------------------------------------


async def push(site: Site, call: Call) -> Answer:
    table = call.path_params["table"]
    kind = call.headers.get("content-type", "application/json")
    body = await call.body()
    taken = await site.service.push(table, body, kind, event_of(call))
    kept = Kept(
        table=table,
        given=taken.given,
        accepted=taken.accepted,
        already_there=taken.already_there,
        rejected=taken.rejected,
        rejections=taken.rejections,
    )
    for outcome in ("accepted", "already_there", "rejected"):
        site.front.metrics.facts.labels(table, outcome).inc(getattr(kept, outcome))
    return Answer(202, kept)


async def predict(site: Site, call: Call) -> Answer:
    asked = await _read(site, call, decode_predict, _PREDICT_FORM)
    name = event_of(call)
    if (asked.row, asked.rows, asked.key, asked.keys).count(None) != 3:
        raise _unreadable("it must have one of row, rows, key and keys", _PREDICT_FORM)
    if (one := asked.one()) is not None:
        if "respond-async" in call.headers.get("prefer", ""):
            question = DecisionAsked(row=asked.row, key=asked.key, explain=asked.explain)
            return _pending(await site.service.ask_later(question, event_id=name))
        made = site.ahead.find(one) if site.ahead is not None else None
        return Answer(200, _counted(site, made or await site.service.predict(one, event_id=name)))
    many = [Asked(row, explain=asked.explain) for row in asked.rows or ()]
    many += [Asked(key, True, asked.explain) for key in asked.keys or ()]
    if refused := site.front.limits.refuse_rows(len(many)):
        raise refused
    ready = [None if site.ahead is None else site.ahead.find(each) for each in many]
    asking = [each for each, made in zip(many, ready, strict=True) if made is None]
    rest = iter(await site.service.predict_many(asking, event_id=name))
    found = [next(rest) if made is None else made for made in ready]
    told = [body_of(each) if isinstance(each, MainspringError) else _counted(site, each) for each in found]
    return Answer(200, {"predictions": told})


async def prediction(site: Site, call: Call) -> Answer:
    service, asked = site.service, call.path_params["prediction_id"]
    task = service.predictor.task
    if service.remembered.is_pending(asked):
        return _pending(asked)
    answer = service.remembered.answer(asked)
    if isinstance(answer, Failure):
        return Answer(422, {"error": answer})
    told = service.remembered.outcome(asked)
    if answer is not None:
        outcome = await asyncio.to_thread(find_outcome, site.lake, asked, task)
        return Answer(200, Judged(prediction=answer, outcome=_newest(told, outcome)))
    judged = await asyncio.to_thread(find_judged, site.lake, asked, task)
    if judged is None:
        raise ServingError(
            "SERVE_UNKNOWN", f"There is no prediction {asked!r:.100}.", fix="Ask with the prediction_id of an answer."
        )
    return Answer(200, msgspec.structs.replace(judged, outcome=_newest(told, judged.outcome)))


def _newest(*outcomes: Outcome | None) -> Outcome | None:
    """The outcome that was known last is what counts."""
    return max(
        (each for each in outcomes if each is not None), key=lambda each: parse_instant(each.known_at), default=None
    )


async def tell(site: Site, call: Call) -> Answer:
    return Answer(202, await site.service.tell(await call.body(), event_of(call)))


# -- arms and time -----------------------------------------------------------------------------------------------------


async def arms(site: Site, call: Call) -> Answer:
    return Answer(200, site.deployed.told())


async def set_arms(site: Site, call: Call) -> Answer:
    asked = await _read(site, call, _decode_arms, '{"arms": [{"name", "role", "model", "share"}, …], "reason": "…"}')
    try:
        wanted = [msgspec.convert(arm, Arm, from_attributes=True) for arm in asked.arms]
    except msgspec.ValidationError as error:
        raise _unreadable(str(error), "champion, challenger or shadow as the role of each arm") from error
    grant = call.grant
    told = await asyncio.to_thread(
        site.deployed.deploy, wanted, clock=site.clock, by=f"key {grant.key}", reason=asked.reason
    )
    site.service.predictor.router = site.deployed.router
    _log.info("arms changed: %s", ", ".join(f"{arm.name} {arm.model} {arm.share:g}" for arm in told.arms))
    return Answer(200, told)


async def rewind(site: Site, call: Call) -> Answer:
    asked = await _read(site, call, _decode_rewind, '{"to": "2013-12-01T00:00:00Z"}')
    try:
        to = parse_instant(asked.to)
    except DeclarationError as error:
        raise _unreadable(f"{asked.to!r:.100} is no instant", '{"to": "2013-12-01T00:00:00Z"}') from error
    await rewind_service(site.service, site.lake, site.log, to)
    return Answer(200, {"now": format_instant(site.service.clock.now())})


# -- what there is -----------------------------------------------------------------------------------------------------


async def state(site: Site, call: Call) -> Answer:
    service = site.service
    size = service.predictor.state.size()
    return Answer(
        200,
        {
            "system": service.predictor.system.name,
            "model": service.predictor.router.champion.arm.model,
            "now": format_instant(service.clock.now()),
            "follows_facts": service.follows_facts,
            "bytes": size.bytes,
            "groups": {name: {"keys": size.keys[name], "facts": size.facts[name]} for name in size.keys},
            "rows": len(service.predictor.current),
            "pending": service.remembered.n_pending,
            "newest": {table: format_instant(at) for table, at in service.fresh.items() if at},
        },
    )


async def metrics(site: Site, call: Call) -> Answer:
    text = await asyncio.to_thread(site.front.metrics.text)
    return Answer(200, text, content_type=Metrics.content_type)


async def openapi(site: Site, call: Call) -> Answer:
    return Answer(200, site.documents[0])


async def docs(site: Site, call: Call) -> Answer:
    return Answer(200, site.documents[1], _PAGE_HEADERS, _HTML)


async def first_page(site: Site, call: Call) -> Answer:
    """Say what this is, without anything that a key protects; a browser goes on to the pages, where there are any."""
    if site.pages and "text/html" in call.headers.get("accept", ""):
        return Answer(303, b"", {"location": f"{site.pages}/"}, _HTML)
    return Answer(200, site.documents[2], _PAGE_HEADERS, _HTML)


async def alive(site: Site, call: Call) -> Answer:
    return Answer(200, b'{"status":"ok"}')


async def ready(site: Site, call: Call) -> Answer:
    problems = [told for problem in site.problems if (told := problem())]
    if not problems:
        return Answer(200, b'{"status":"ok"}')
    return Answer(503, {"status": "not ready", "problems": problems}, {"retry-after": "2"})


# -- Open Inference Protocol -------------------------------------------------------------------------------------------


async def server_metadata(site: Site, call: Call) -> Answer:
    return Answer(200, {"name": "mainspring", "version": mainspring.__version__, "extensions": []})


async def model_metadata(site: Site, call: Call) -> Answer:
    _check_model(site, call)
    return Answer(200, open_inference.metadata(site.service))


async def model_ready(site: Site, call: Call) -> Answer:
    _check_model(site, call)
    return Answer(200, {"name": site.service.predictor.system.name, "ready": True})


async def infer(site: Site, call: Call) -> Answer:
    _check_model(site, call)
    body = await call.body()
    if refused := site.front.limits.refuse_body(body):
        raise refused
    rows, request_id = open_inference.read_inference(body, site.service.predictor.system)
    if refused := site.front.limits.refuse_rows(len(rows)):
        raise refused
    predictions = await site.service.predict_many([Asked(row) for row in rows], event_id=event_of(call))
    for each in predictions:
        if isinstance(each, MainspringError):
            return Answer(status_of(each), body_of(each))
    answered = [_counted(site, each) for each in predictions if isinstance(each, Prediction)]
    return Answer(200, open_inference.answer(site.service, answered, request_id))


def _check_model(site: Site, call: Call) -> None:
    """Only the system that is served has a model here.

    Raises ServingError (SERVE_UNKNOWN).
    """
    served, asked = site.service.predictor.system.name, call.path_params["model"]
    if asked != served:
        raise ServingError(
            "SERVE_UNKNOWN",
            f"There is no model {asked!r:.100}.",
            exists=f"There is {served}.",
            fix="Name it in the path.",
        )


_PREDICT_FORM = '{"row": {…}}, {"rows": [{…}, …]}, {"key": {…}} or {"keys": [{…}, …]}, with plain values by column'


async def _read(site: Site, call: Call, decode: Callable[[bytes], Any], form: str) -> Any:
    body = await call.body()
    if refused := site.front.limits.refuse_body(body):
        raise refused
    try:
        return decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _unreadable(str(error), form) from error


def _unreadable(why: str, form: str) -> ServingError:
    return ServingError("SERVE_BODY", f"The body cannot be read: {why}.", fix=f"Send {form}.")


def _counted(site: Site, prediction: Prediction) -> Prediction:
    site.front.metrics.predicted(prediction.arm, prediction.model)
    return prediction


def _pending(prediction_id: str) -> Answer:
    location = f"/v1/predictions/{prediction_id}"
    return Answer(
        202,
        Pending(prediction_id=prediction_id, location=location),
        {"location": location, "retry-after": "1", "preference-applied": "respond-async"},
    )
