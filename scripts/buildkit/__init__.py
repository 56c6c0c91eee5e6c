"""Progress, records and failures of builds, from the output of BuildKit."""
