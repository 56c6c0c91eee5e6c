"""The Docker Engine: query it, install it on Debian, start and stop a daemon."""
