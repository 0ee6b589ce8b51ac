"""The page a person opens to judge a model: one HTML file that works offline, on a phone, on paper and in the dark.

`charts` turns an evaluation into Vega-Lite, `judgement`, `weakness` and `provenance` write the sections out of the parts of
`mainspring.page`, and `page` puts them together.
"""

from mainspring.evaluation.report.context import FeatureFacts, RunContext, TableFacts
from mainspring.evaluation.report.document import evaluation_json
from mainspring.evaluation.report.page import report_page, write_report

__all__ = ["FeatureFacts", "RunContext", "TableFacts", "evaluation_json", "report_page", "write_report"]
