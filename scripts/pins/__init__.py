"""Every pinned version of the repository: newer ones, the edits, and their commits."""
