"""Opens a page in the browser to explore a finished run: draw, and see what the model makes of it.

    python -m keras_aae.explore --run_dir=runs/quickstart
    python -m keras_aae.explore --run_dir=runs/quickstart --export_page=page

The page is local: served to this machine alone, it asks nothing of any other. The first time, npm
(of Node.js) downloads LiteRT's runtime for the browser.
"""

import argparse
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
from http import HTTPStatus
from http import server
import os
import pathlib
import socket
import sys
import time
from typing import Any
import webbrowser

from keras_aae import console
from keras_aae import errors
from keras_aae import files
from keras_aae import interrupts
from keras_aae.training import run_directory

# A site of any other name is not this one, even where that name leads to this machine.
_HOSTS = ("127.0.0.1", "localhost", "[::1]")
_CONNECTIONS = 32  # At a time; one more closes the oldest.
_SECONDS = 60  # That a connection may take, from its start to the last byte of the answer.
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".wasm": "application/wasm",
}


class _Handler(server.BaseHTTPRequestHandler):
    """Answers with the server's files, which are in memory: no path leads anywhere else."""

    server: "Server"

    def do_GET(self) -> None:
        self.wfile.write(self._begin())

    def do_HEAD(self) -> None:
        self._begin()

    def _begin(self) -> bytes:
        """Sends what goes before the body, which it returns."""
        name = self.path.partition("?")[0].removeprefix("/") or "index.html"
        host = self.headers.get("Host", "").lower().removesuffix(f":{self.server.server_port}")
        if host not in _HOSTS:
            here = f"This page is at http://127.0.0.1:{self.server.server_port}/ alone."
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST, explain=here)
        elif name not in self.server.files:
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            return self._describe(name)
        return b""

    def _describe(self, name: str) -> bytes:
        body = self.server.files[name]
        self.send_response(HTTPStatus.OK)
        kind = _TYPES.get(pathlib.PurePosixPath(name).suffix, "application/octet-stream")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        # Other sites may not load it into theirs, and the next run on this port is another page.
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "DENY")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        return body

    def log_message(self, format: str, *args: object) -> None:
        """Keeps quiet."""


class Server(server.ThreadingHTTPServer):
    """A server of files on the loopback interface; `serve_forever` runs it.

    Attributes:
        files: Their content by their path.
    """

    request_queue_size = 128  # Connections that wait to be taken; 5 would keep others out.

    def __init__(self, port: int):
        super().__init__(("127.0.0.1", port), _Handler)
        self.files: Mapping[str, bytes] = {}
        self._began: dict[socket.socket, float] = {}  # When each connection did, the oldest first.

    def process_request(self, request: Any, client_address: Any) -> None:
        self._began[request] = time.monotonic()
        self._end(list(self._began)[:-_CONNECTIONS])
        super().process_request(request, client_address)

    def service_actions(self) -> None:
        """Ends the connections that take too long; `serve_forever` calls it twice a second."""
        limit = time.monotonic() - _SECONDS
        self._end([request for request, began in list(self._began.items()) if began < limit])

    def _end(self, requests: Iterable[socket.socket]) -> None:
        """Ends connections, at which their threads end."""
        for request in requests:
            self._began.pop(request, None)
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)

    def shutdown_request(self, request: Any) -> None:
        self._began.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keeps quiet about clients that go away."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def serve(port: int = 0) -> Server:
    """A server that has no files yet.

    Args:
        port: Where; 0 for any that is free.

    Raises:
        UserError: the port is taken, out of range or not permitted.
    """
    try:
        return Server(port)
    except (OSError, OverflowError) as error:
        raise errors.UserError(f"--port={port}: can't be served on ({error})") from error


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    """The content of the files in a folder by their path; symbolic links are left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def build(run_dir: str, folder: pathlib.Path) -> None:
    """Writes the page of a finished run to a folder; needs neither its data set nor its export.

    Raises:
        UserError: the run is not there, not finished or not of images; a package or npm is missing;
            or the folder can't be written.
    """
    directory = run_directory.RunDirectory(run_dir)
    directory.read_config()
    # This imports TensorFlow, which takes seconds: only once there is something to show.
    with errors.importing_tensorflow():
        from keras_aae.deployment import page

    results = directory.read_results()
    if not results:
        raise errors.UserError(f"--run_dir={run_dir}: not finished; train it to its end first")
    print(f"making the page of {run_dir} ...", flush=True)
    packages = page.runtime()
    page.build(directory.load_model(), directory.load_examples(), results, packages, folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """Builds the page, and serves it or leaves it in a folder; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m keras_aae.explore",
        description="Explores a finished run of a model of images in the browser.",
        allow_abbrev=False,
    )
    path = os.path.expanduser  # A shell leaves the ~ in --run_dir=~/here as it is.
    parser.add_argument("--run_dir", type=path, required=True, help="the directory of the run")
    parser.add_argument(
        "--export_page",
        type=path,
        default="",
        help="write the page to this folder, for any web server",
    )
    parser.add_argument("--port", type=int, default=0, help="where to serve it; default: any")
    given = parser.parse_args(arguments)
    try:
        if given.export_page:
            build(given.run_dir, pathlib.Path(given.export_page))
            print(f"page       {given.export_page}/index.html, for any web server")
        else:
            _show(given)
    except errors.UserError as error:
        print(f"keras_aae: {error}", file=sys.stderr)
        return 2
    return 0


def _show(given: argparse.Namespace) -> None:
    """Serves the page, and opens the browser on it, until a signal."""
    with serve(given.port) as local:
        with files.temporary_folder() as folder:
            build(given.run_dir, folder)
            local.files = contents(folder)
        address = f"http://127.0.0.1:{local.server_port}/"
        print(f"page       {address} (Ctrl-C ends it)", flush=True)
        webbrowser.open(address)
        local.serve_forever()


def run() -> None:
    """The command; a signal ends it by an exception, so that it leaves no temporary folder."""
    try:
        with console.printing(), interrupts.raised():
            status = main()
    except interrupts.Interrupted as error:
        status = error.status
    sys.exit(status)


if __name__ == "__main__":
    run()
