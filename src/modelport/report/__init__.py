"""What people look at."""

from modelport.report.comparison import render_comparison
from modelport.report.html import ReportData, render_report

__all__ = ["ReportData", "render_comparison", "render_report"]
