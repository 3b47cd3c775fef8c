"""A Hub of one model on this machine: the routes that `huggingface_hub.HfFileSystem` (2.4) asks for."""

import hashlib
import json
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import unquote

from local_server import FolderServer, QuietHandler, running

MODEL = "user/model"
API = f"/api/models/{MODEL}"
REVISION = "1" * 40


class Handler(QuietHandler):
    """Serves the files below the server's folder as the model `user/model`."""

    server: FolderServer

    def do_HEAD(self) -> None:  # noqa: N802  (what http.server calls)
        self._answer()

    def do_GET(self) -> None:  # noqa: N802  (what http.server calls)
        self._answer()

    def do_POST(self) -> None:  # noqa: N802  (what http.server calls)
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


def hub(folder: Path) -> AbstractContextManager[FolderServer]:
    """Serve a folder as a model until the block ends."""
    return running(FolderServer(folder, Handler))
