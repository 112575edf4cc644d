"""What people look at."""

from modelport.report.html import ReportData, render_report

__all__ = ["ReportData", "render_report"]
