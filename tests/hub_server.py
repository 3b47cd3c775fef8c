"""A Hub of one model on this machine: the routes that `huggingface_hub.HfFileSystem` (2.4) asks for."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

MODEL = "user/model"
API = f"/api/models/{MODEL}"
REVISION = "1" * 40


class Hub(ThreadingHTTPServer):
    """Serves the files below `folder` as the model `user/model`."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        """Answer `paths-info`, which asks about files by name."""
        asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        self._json([self._entry(path) for path in asked["paths"] if (self.server.folder / path).exists()])

    def _answer(self) -> None:
        path = unquote(self.path).partition("?")[0]
        if path.startswith(f"{API}/tree/main"):
            folder = self.server.folder / path.removeprefix(f"{API}/tree/main").strip("/")
            below = sorted(folder.iterdir()) if folder.is_dir() else []
            self._json([self._entry(found.relative_to(self.server.folder).as_posix()) for found in below])
        elif path.startswith(API):
            self._json({"id": MODEL, "sha": REVISION, "siblings": [], "private": False, "tags": []})
        elif "/resolve/" in path:
            self._file(path.split("/resolve/", 1)[1].partition("/")[2])
        else:
            self._json({"error": "not here"}, 404)

    def _entry(self, path: str) -> dict[str, object]:
        file = self.server.folder / path
        if file.is_dir():
            return {"type": "directory", "oid": "0" * 40, "size": 0, "path": path}
        data = file.read_bytes()
        return {"type": "file", "oid": hashlib.sha256(data).hexdigest()[:40], "size": len(data), "path": path}

    def _json(self, value: object, status: int = 200) -> None:
        self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _file(self, path: str) -> None:
        raw = (self.server.folder / path).read_bytes()
        headers = {"ETag": '"one"', "X-Repo-Commit": REVISION}
        asked = self.headers.get("Range", "")
        if not asked:
            self._send(200, raw, headers)
            return
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start, stop = int(first), min(int(last or len(raw) - 1), len(raw) - 1) + 1
        self._send(206, raw[start:stop], {**headers, "Content-Range": f"bytes {start}-{stop - 1}/{len(raw)}"})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def hub(folder: Path) -> Iterator[Hub]:
    """Serve a folder as a model until the block ends."""
    server = Hub(folder)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
