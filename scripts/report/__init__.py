"""What people read after a build: the closing table and build/report.html."""
