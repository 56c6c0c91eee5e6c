"""The scoring server as its clients see it: by HTTP, by gRPC and in a browser."""
