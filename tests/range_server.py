"""A web server of ranges for tests, and servers that do it wrong."""

import threading
from contextlib import AbstractContextManager
from pathlib import Path

from local_server import FolderServer, QuietHandler, running


class Server(FolderServer):
    """Serves the files below `folder`, counts the bytes of the bodies it sent, and misbehaves as `fault` says.

    Faults: "no ranges" (all of the file, status 200), "cut" (bodies end early),
    "other range", "status NUMBER", "new mark" (another ETag each time), "once NUMBER" (that status, then right).
    """

    def __init__(self, folder: Path, fault: str = "") -> None:
        super().__init__(folder, Handler)
        self.fault = fault
        self.sent: dict[str, int] = {}
        self.asked: list[tuple[str, str]] = []
        self.queries: set[str] = set()
        self.authorizations: set[str] = set()
        self.lock = threading.Lock()


class Handler(QuietHandler):
    server: Server

    def do_GET(self) -> None:  # noqa: N802  (what http.server calls)
        path, _, query = self.path.partition("?")
        asked = self.headers.get("Range", "")
        with self.server.lock:
            self.server.asked.append((path, asked))
            self.server.queries.add(query)
            self.server.authorizations.add(self.headers.get("Authorization", ""))
            number = len(self.server.asked)
        file = self.server.folder / path.lstrip("/")
        fault, _, status = self.server.fault.partition(" ")
        if fault == "status" or (fault == "once" and number == 1):
            self._send(int(status), b"", {})
        elif not file.is_file():
            self._send(404, b"not here", {})
        else:
            self._file(path, file.read_bytes(), asked, number)

    def _file(self, path: str, raw: bytes, asked: str, number: int) -> None:
        headers = {"ETag": f'"{number if self.server.fault == "new mark" else "one"}"'}
        if self.server.fault == "no ranges" or not asked:
            self._send(200, raw, headers, path)
            return
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start, stop = int(first), min(int(last) + 1, len(raw))
        if start >= len(raw):
            self._send(416, b"", {"Content-Range": f"bytes */{len(raw)}"})
            return
        told = start + 1 if self.server.fault == "other range" else start
        headers["Content-Range"] = f"bytes {told}-{stop - 1}/{len(raw)}"
        self._send(206, raw[start:stop], headers, path)

    def _send(self, status: int, body: bytes, headers: dict[str, str], path: str = "") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.fault == "cut" and len(body) > 1:
            body = body[: len(body) // 2]
            self.close_connection = True
        try:
            self.wfile.write(body)
        except OSError:  # The client closes as soon as it knows that it does not want the body.
            return
        with self.server.lock:
            self.server.sent[path] = self.server.sent.get(path, 0) + len(body)


def serving(folder: Path, fault: str = "") -> AbstractContextManager[Server]:
    return running(Server(folder, fault))
