"""HTML reports."""

import typing

from modelport import lazy

if typing.TYPE_CHECKING:
    from modelport.report.comparison import render_comparison
    from modelport.report.html import ReportData, render_report
    from modelport.report.measurements import Page, Point, Series, render_measurements
    from modelport.report.quantization import render_quantization
else:
    __getattr__, __dir__ = lazy.public_names(
        __name__,
        {
            "comparison": ("render_comparison",),
            "html": ("ReportData", "render_report"),
            "measurements": ("Page", "Point", "Series", "render_measurements"),
            "quantization": ("render_quantization",),
        },
    )

__all__ = [
    "Page",
    "Point",
    "ReportData",
    "Series",
    "render_comparison",
    "render_measurements",
    "render_quantization",
    "render_report",
]
