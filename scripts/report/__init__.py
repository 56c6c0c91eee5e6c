"""The summary at the end of a build, and build/report.html."""
