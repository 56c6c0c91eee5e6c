"""What every package may use: messages, paths, programs and git. It imports no other package."""
