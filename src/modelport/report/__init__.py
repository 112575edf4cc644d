"""What people look at."""

from modelport.report.comparison import render_comparison
from modelport.report.html import ReportData, render_report
from modelport.report.quantization import render_quantization

__all__ = ["ReportData", "render_comparison", "render_quantization", "render_report"]
