"""What every chart of a page is: a Vega-Lite spec with a sentence for those who do not see it, and a table behind it.

Colours are CSS custom properties (`var(--series-1)`), which the SVG that Vega draws resolves in the page: so charts follow
light, dark and print without being drawn again. Altair is imported by whoever draws, on first use.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mainspring.page import components
from mainspring.page.components import Html

if TYPE_CHECKING:
    import altair as alt

__all__ = ["ACCENT", "BAD", "QUIET", "RULE", "SECOND", "Chart", "finite", "sized_spec", "time_axis"]

ACCENT = "var(--series-1)"
SECOND = "var(--series-2)"
QUIET = "var(--quiet)"
RULE = "var(--rule-strong)"
BAD = "var(--bad)"


@dataclass(frozen=True)
class Chart:
    """A drawing: the name of its place on the page, its title, what it shows in one sentence, and the Vega-Lite spec."""

    name: str
    title: str
    alternative: str
    spec: dict[str, Any]

    def placed(self, behind: Html) -> Html:
        """Return the chart as a part of a page, with the table behind it."""
        return components.chart(self.name, self.title, self.alternative, self.spec, behind)


def finite(value: float | None) -> float | None:
    """Return the number, or None where JSON has no word for it; Vega leaves such points out."""
    return value if value is not None and math.isfinite(value) else None


def time_axis(field: str) -> Any:
    """Return the horizontal axis of a field of instants, in UTC."""
    import altair as alt

    return alt.X(f"{field}:T", title=None, scale=alt.Scale(type="utc"))


def sized_spec(chart: alt.LayerChart, height: int) -> dict[str, Any]:
    """Return the spec of a chart as wide as its place and `height` pixels high, axes included."""
    sized = chart.properties(width="container", height=height, autosize={"type": "fit", "contains": "padding"})
    spec: dict[str, Any] = sized.to_dict(validate=False)  # 20 times faster; the tests draw every chart in a browser
    spec.pop("config", None)  # the page's script has the one look for all charts
    return spec
