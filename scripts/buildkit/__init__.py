"""What BuildKit reports of a build: progress, records of builds, and failures."""
