"""What people look at."""

from modelport.report.comparison import render_comparison
from modelport.report.html import ReportData, render_report
from modelport.report.measurements import Page, Point, Series, render_measurements
from modelport.report.quantization import render_quantization

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
