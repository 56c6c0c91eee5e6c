"""A web server on loopback for the tests of what builds fetch."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Sites:
    """A server of files by path or, as a proxy, by URL; it answers 404 for all others."""

    def __init__(self) -> None:
        """Start the server on a free port."""
        self.files: dict[str, bytes] = {}
        self.requests: list[str] = []
        sites = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                sites.requests.append(self.path)
                content = sites.files.get(self.path)
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop the server."""
        self.server.shutdown()
        self.server.server_close()
