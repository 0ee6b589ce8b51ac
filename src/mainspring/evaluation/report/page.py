"""The report as one HTML document: every section in the order a reader asks, styles and scripts inside, no network.

The document carries a content security policy that names its two scripts by their hash and forbids every request, so
neither a slip of ours nor text from the data can load or run anything.
"""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from mainspring.evaluation.report import judgement, provenance, weakness
from mainspring.evaluation.report.components import Child, Html, element, paragraph
from mainspring.evaluation.report.context import RunContext
from mainspring.evaluation.report.vega import vega_script
from mainspring.evaluation.report.wording import instant
from mainspring.evaluation.results import Evaluation
from mainspring.storage import write_atomically

__all__ = ["html_document", "report_page", "write_report"]

_CONTENTS = (
    ("verdict", "Verdict"),
    ("baselines", "Against the baselines"),
    ("worth", "What it is worth"),
    ("honesty", "Is it honest"),
    ("time", "Over time"),
    ("slices", "Where it is weak"),
    ("simpson", "Simpson's reversals"),
    ("importance", "What it uses"),
    ("leakage", "Leakage audit"),
    ("checks", "Guards and checks"),
    ("data", "The data"),
    ("made", "How it was made"),
    ("brief", "What it is for"),
    ("notes", "Notes"),
)


@lru_cache
def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


@lru_cache
def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


def html_document(title: str, body: Child) -> Html:
    scripts = (vega_script(), _resource("charts.js"))
    allowed = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src {allowed}; base-uri 'none'; form-action 'none'"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Html(_resource("style.css"))),
    )
    running = [element("script", Html(script)) for script in scripts]
    root = element("html", head, element("body", body, running), lang="en")
    return Html(f"<!doctype html>\n{root}\n")


def report_page(evaluation: Evaluation, context: RunContext) -> str:
    """Return the report as one HTML document of about 1 MB that works offline."""
    contents = element(
        "nav",
        element("ol", (element("li", element("a", title, href=f"#{name}")) for name, title in _CONTENTS)),
        aria_label="Contents",
    )
    header = element(
        "header",
        paragraph("Evaluation report", class_="kicker"),
        element("h1", evaluation.system),
        paragraph(context.purpose, class_="purpose") if context.purpose else None,
        paragraph(f"Run {context.run}, {instant(context.generated)}", class_="aside"),
        element("noscript", paragraph("Charts need JavaScript. Each has a sentence and a table that say the same.")),
    )
    sections = (
        judgement.summary(evaluation),
        judgement.versus_baselines(evaluation),
        judgement.worth(evaluation),
        judgement.honesty(evaluation),
        judgement.over_time(evaluation),
        weakness.slices(evaluation),
        weakness.reversals(evaluation),
        weakness.uses(evaluation),
        weakness.leakage(evaluation),
        weakness.limits(evaluation),
        provenance.data(evaluation, context),
        provenance.made(evaluation, context),
        provenance.brief(context),
        provenance.notes(evaluation),
    )
    footer = element(
        "footer", paragraph(f"Written by Mainspring {context.version}. This page makes no request to anyone.")
    )
    skip = element("a", "Skip to the verdict", href="#verdict", class_="skip")
    body = (skip, header, element("div", contents, element("main", sections), class_="columns"), footer)
    return html_document(f"{evaluation.system}: evaluation of {context.run}", body)


def write_report(evaluation: Evaluation, context: RunContext, path: Path) -> None:
    """Write the report to `path`; a reader sees the old file or the whole new one. The folder must exist.

    Raises WorkspaceError (WORKSPACE_DISK_FULL, WORKSPACE_READ_ONLY).
    """
    write_atomically(path, report_page(evaluation, context).encode("utf-8", "replace"))
