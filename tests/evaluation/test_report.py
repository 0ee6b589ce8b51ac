"""The report: laws of its markup without a browser, and one look at it with Chromium."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mainspring.errors import WorkspaceError
from mainspring.evaluation.report import RunContext, evaluation_json, report_page, write_report
from mainspring.evaluation.report.verdict import verdict, worst_first
from mainspring.evaluation.results import Evaluation, Importance, Interval, LeakageFinding
from mainspring.page import components, document, vega
from mainspring.page.wording import instant, number
from tests.evaluation import sample

HOSTILE = "</script><img src=x onerror=alert(1)>"
VOID = {"meta", "br", "link", "col"}
SECTIONS = [
    "verdict", "baselines", "worth", "honesty", "time", "slices", "simpson", "importance", "leakage", "checks", "data", "made",
    "brief", "notes",
]  # fmt: skip
EVALUATIONS = {
    "full": sample.full(),
    "minimal": sample.minimal(),
    "regression": sample.regression(),
    "multiclass": sample.multiclass(),
}


class Outline(HTMLParser):
    """Checks that every element is closed in order, and keeps elements, texts and the texts of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        else:
            self.texts.append(data)


@pytest.fixture(autouse=True)
def _light_scripts(request, monkeypatch):
    """Spare the tests that do not draw the 0.9 MB of Vega."""
    if "chromium" not in request.fixturenames:
        monkeypatch.setattr(document, "vega_script", lambda: "window.vegaEmbed = () => Promise.resolve();")


@pytest.mark.parametrize("name", EVALUATIONS)
def test_every_page_is_well_formed_and_has_every_section(name):
    outline = Outline(report_page(EVALUATIONS[name], sample.context()))
    identities = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
    assert len(identities) == len(set(identities))
    assert [attributes["id"] for tag, attributes in outline.elements if tag == "section"] == SECTIONS
    links = [attributes["href"] for tag, attributes in outline.elements if tag == "a"]
    assert {link.removeprefix("#") for link in links} <= set(identities)
    assert [tag for tag, _ in outline.elements].count("h1") == 1


@pytest.mark.parametrize("name", EVALUATIONS)
def test_no_page_asks_the_network_for_anything(name):
    text = report_page(EVALUATIONS[name], sample.context())
    outline = Outline(text)
    for tag, attributes in outline.elements:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form"}
        assert "src" not in attributes
        assert "srcset" not in attributes
        assert not any(name.startswith("on") for name in attributes)
    assert not re.search(r"@import|url\(", document._resource("style.css"))
    policy = next(a["content"] for _, a in outline.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "unsafe-inline' 'unsafe-eval" not in policy
    assert "script-src 'sha256-" in policy


@pytest.mark.parametrize("name", EVALUATIONS)
def test_every_chart_has_a_title_a_sentence_and_a_table(name):
    text = report_page(EVALUATIONS[name], sample.context())
    figures = re.findall(r"<figure.*?</figure>", text, flags=re.DOTALL)
    assert len(figures) == {"full": 8, "minimal": 0, "regression": 5, "multiclass": 1}[name]
    for figure in figures:
        assert re.search(r"<figcaption><h3[^>]*>[^<]+</h3><p>[^<]{20,}</p></figcaption>", figure)
        label = re.search(r'role="img" aria-label="([^"]{30,})"', figure)
        assert label
        assert "<details>" in figure
        assert "<tbody><tr>" in figure
        specs = Outline(figure).scripts
        assert len(specs) == 1
        assert json.loads(specs[0])["width"] == "container"


def test_what_is_absent_is_explained():
    text = report_page(sample.minimal(), sample.bare_context())
    for section in re.findall(r"<section.*?</section>", text, flags=re.DOTALL):
        assert re.search(r"<(p|table|ul|dl)\b", section.split("</h2>")[1])
    assert "No Simpson&#x27;s reversal was found." in text
    assert "among 12 pairs" in report_page(sample.minimal(simpson_pairs=12), sample.bare_context())


def test_hostile_text_stays_text_everywhere():
    """Every text in an evaluation and its context is replaced; no element may appear that was not there before."""

    def spoilt(value):
        if isinstance(value, str):
            return value + HOSTILE
        if isinstance(value, list | tuple):
            return type(value)(spoilt(each) for each in value)
        if isinstance(value, dict):
            return {spoilt(key): spoilt(each) for key, each in value.items()}
        return value

    keep = {"task", "metric", "kind", "severity", "metrics"}

    def spoil(record):
        fields = {}
        for name in record.__struct_fields__:
            value = getattr(record, name)
            if name in keep:
                fields[name] = value
            elif isinstance(value, list) and value and isinstance(value[0], msgspec.Struct):
                fields[name] = [spoil(each) for each in value]
            elif isinstance(value, msgspec.Struct):
                fields[name] = value
            else:
                fields[name] = spoilt(value)
        return type(record)(**fields)

    evaluation, context = spoil(sample.full()), spoil(sample.context())
    outline = Outline(report_page(evaluation, context))
    plain = Outline(report_page(sample.full(), sample.context()))
    assert [tag for tag, _ in outline.elements] == [tag for tag, _ in plain.elements]
    assert len(outline.scripts) == len(plain.scripts)
    assert sum(HOSTILE in text for text in outline.texts) > 300
    drawn = [json.loads(text) for text in outline.scripts[:-2]]
    assert all(HOSTILE in json.dumps(spec) for spec in drawn if '"name"' in json.dumps(spec))


anything = st.text(st.characters(codec="utf-8"))
hostile = st.lists(
    anything | st.sampled_from([HOSTILE, '"', "'", "<!--", "]]>", "&amp;", "\x00", "<"]), max_size=4
).map("".join)


@settings(deadline=None)
@given(hostile)
@example(HOSTILE)
def test_escaping_law(text):
    """What is put in as text comes out as the same text (forbidden characters aside), in an element and an attribute."""
    outline = Outline(components.element("p", text, title=text))
    assert [tag for tag, _ in outline.elements] == ["p"]
    visible = text.translate(components._FORBIDDEN).replace("\r\n", "\n").replace("\r", "\n")
    assert "".join(outline.texts).replace("\r\n", "\n").replace("\r", "\n") == visible
    assert (outline.elements[0][1]["title"] or "").replace("\r\n", "\n").replace("\r", "\n") == visible


@settings(deadline=None)
@given(hostile)
@example(HOSTILE)
@example("<!--<script>")
def test_data_in_a_script_element_cannot_end_it(text):
    outline = Outline(components.data_script({text: [text]}))
    assert [tag for tag, _ in outline.elements] == ["script"]
    assert json.loads(outline.scripts[0]) == {text: [text]}


@settings(max_examples=15, deadline=None)
@given(hostile, st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 1e-9, 1e12]))
def test_no_text_and_no_figure_breaks_the_page(text, figure):
    evaluation = sample.minimal(
        system=text,
        metrics={"log_loss": Interval(figure, figure, figure)},
        importance=[Importance(feature=text, group=text, gain=figure, permutation=Interval(figure, figure, figure))],
        leakage=[LeakageFinding(kind=text, severity="error", subject=text, figure=figure, message=text)],
    )
    outline = Outline(report_page(evaluation, RunContext(run=text, generated=text, version="0", brief=[(text, text)])))
    for spec in outline.scripts[:-2]:
        json.loads(spec, parse_constant=pytest.fail)


def test_the_verdict_is_good_only_when_all_is_kept():
    full = sample.full()
    kept = msgspec.structs.replace(full, checks=[c for c in full.checks if c.passed])
    assert verdict(kept).tone == "good"
    assert verdict(kept).sentence == "The model beats all 5 baselines in log loss."
    assert verdict(full).tone == "warning"
    assert verdict(sample.minimal()).tone == "warning"
    assert verdict(sample.multiclass()).tone == "bad"
    assert verdict(sample.multiclass()).sentence == "The model does not beat yesterday in accuracy."
    close = verdict(sample.regression())
    assert close.tone == "warning"
    assert "against same hour it may be chance" in close.sentence


@pytest.mark.parametrize("low", [math.nan, -math.inf])
def test_what_is_unknown_never_counts_as_beaten(low):
    full = msgspec.structs.replace(sample.full(), checks=[])
    unsure = [msgspec.structs.replace(b, difference=Interval(-0.1, low, math.nan)) for b in full.baselines]
    assert verdict(msgspec.structs.replace(full, baselines=unsure)).tone == "warning"
    unknown = [
        msgspec.structs.replace(b, difference=Interval(math.nan, 0, 0), metrics={"log_loss": Interval(math.nan, 0, 0)})
        for b in full.baselines
    ]
    assert "no baseline" in verdict(msgspec.structs.replace(full, baselines=unknown)).sentence


def test_a_model_with_less_is_no_competitor():
    full = sample.full()
    only = msgspec.structs.replace(full, baselines=[b for b in full.baselines if b.kind == "without"], checks=[])
    assert "no baseline" in verdict(only).sentence


def test_slices_are_ordered_by_what_is_sure():
    certain, unlucky = sample.around(0.6, 0.01), sample.around(0.7, 0.3)
    slices = [
        msgspec.structs.replace(sample.full().slices[0], value=value, metrics={"log_loss": figure})
        for value, figure in (("unlucky", unlucky), ("certain", certain))
    ]
    assert [each.value for each in worst_first(sample.minimal(slices=slices))] == ["certain", "unlucky"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.45981, "0.4598"),
        (-0.2, "−0.2000"),
        (12345.6, "12,346"),
        (999.96, "1,000.0"),
        (1.0, "1.000"),
        (31.24, "31.24"),
        (0.0, "0"),
        (math.nan, "unknown"),
        (None, "unknown"),
        (0.0009, "0.00090"),
    ],
)
def test_numbers_are_written_with_the_digits_that_matter(value, text):
    assert number(value) == text


def test_instants_are_written_to_the_minute():
    assert instant("2013-10-01T10:15:00Z") == "2013-10-01 10:15 UTC"
    assert instant("some day") == "some day"


def test_the_document_is_sorted_finite_and_read_back():
    evaluation = sample.full()
    document = evaluation_json(evaluation)
    assert msgspec.json.decode(document, type=Evaluation) == evaluation
    assert document == evaluation_json(sample.full())
    keys = list(json.loads(document))
    assert keys == sorted(keys)
    odd = evaluation_json(sample.minimal(metrics={"log_loss": Interval(math.nan, -math.inf, math.inf)}))
    assert json.loads(odd, parse_constant=pytest.fail)["metrics"]["log_loss"]["low"] is None


def test_numbers_of_numpy_are_numbers():
    odd = sample.minimal(histogram=[(np.float32(0.5), np.float64(1.0), np.int64(3))])
    assert json.loads(evaluation_json(odd))["histogram"] == [[0.5, 1.0, 3]]
    assert "How the predictions are spread" in report_page(odd, sample.bare_context())


def test_writing_replaces_the_whole_file_or_nothing(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    write_report(sample.minimal(), sample.bare_context(), path)
    before = path.read_bytes()
    assert before.startswith(b"<!doctype html>")

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(WorkspaceError) as caught:
        write_report(sample.full(), sample.context(), path)
    assert caught.value.code == "WORKSPACE_DISK_FULL"
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["report.html"]


@pytest.fixture
def bundled(monkeypatch, tmp_path):
    """Count how often the script is bundled anew, with a cache folder of its own."""
    made: list[str] = []
    fake = SimpleNamespace(javascript_bundle=lambda: made.append("x") or "let a = '</script><!--';")
    monkeypatch.setitem(sys.modules, "vl_convert", fake)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    vega.vega_script.cache_clear()
    yield made
    vega.vega_script.cache_clear()


def test_the_script_is_bundled_once_and_a_half_written_copy_is_not_used(bundled, tmp_path):
    first = vega.vega_script()
    assert "</script" not in first
    assert "<!--" not in first
    vega.vega_script.cache_clear()
    assert vega.vega_script() == first
    assert len(bundled) == 1
    (stored,) = (tmp_path / "cache" / "mainspring").iterdir()
    stored.write_text(first[:10])
    vega.vega_script.cache_clear()
    assert vega.vega_script() == first
    assert len(bundled) == 2
    assert stored.read_text() == first


def test_a_cache_that_cannot_be_written_costs_time_only(bundled, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert vega.vega_script().startswith("let a")


def test_importing_the_report_loads_nothing_heavy():
    heavy = "{'altair', 'vl_convert', 'numba', 'polars', 'pandas'}"
    code = f"import sys, mainspring.evaluation.report, mainspring.evaluation.card; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have Chromium: apt-get install chromium")
        pytest.skip("Chromium is not installed, so nothing can look at the charts")
    return found


def test_a_browser_draws_every_chart(chromium, tmp_path):
    path = tmp_path / "report.html"
    write_report(sample.full(), sample.context(), path)
    quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    quiet += ["--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    look = ["--window-size=1280,2000", "--virtual-time-budget=20000", "--enable-logging=stderr", "--dump-dom"]
    done = subprocess.run(
        [chromium, *quiet, profile, *look, path.as_uri()], capture_output=True, text=True, timeout=60, check=True
    )
    places = re.findall(r'<div class="chart" role="img" aria-label="[^"]{30,}" data-drawn="yes">', done.stdout)
    assert len(places) == 8
    assert len(re.findall(r"<svg [^>]*class=\"marks\"", done.stdout)) == 8
    assert "CONSOLE" not in done.stderr
