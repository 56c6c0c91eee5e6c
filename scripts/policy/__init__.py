"""The rules that check Dockerfiles and recipes against the cache contract."""
