"""Opens a page in the browser to explore a finished run: draw, and see what the model makes of it.

    python -m keras_aae.explore --run_dir=runs/quickstart
    python -m keras_aae.explore --run_dir=runs/quickstart --export_page=page

The page is local: served to this machine alone, it asks nothing of any other.
"""

import argparse
from collections.abc import Sequence
import contextlib
import functools
from http import server
import os
import pathlib
import sys
import tempfile
import webbrowser

from keras_aae import errors
from keras_aae.training import run_directory


class _Handler(server.SimpleHTTPRequestHandler):
    """Serves a folder without a line for each file."""

    extensions_map = {".js": "text/javascript", ".wasm": "application/wasm", ".html": "text/html"}

    def log_message(self, format: str, *args: object) -> None:
        """Keeps quiet."""


def serve(folder: pathlib.Path, port: int = 0) -> server.ThreadingHTTPServer:
    """A server of a folder on the loopback interface; `serve_forever` runs it.

    Args:
        folder: What to serve.
        port: Where; 0 for any that is free.

    Raises:
        UserError: the port is taken.
    """
    handler = functools.partial(_Handler, directory=str(folder))
    try:
        return server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    except (OSError, OverflowError) as error:
        raise errors.UserError(f"--port={port}: can't be served on ({error})") from error


def build(run_dir: str, folder: pathlib.Path) -> None:
    """Writes the page of a finished run to a folder; needs neither its data nor its export.

    Raises:
        UserError: the run is not there or not finished, or the folder can't be written.
    """
    directory = run_directory.RunDirectory(run_dir)
    directory.read_config()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # This imports TensorFlow, which takes seconds: only once there is something to show.
    try:
        from keras_aae.deployment import page
    except ModuleNotFoundError as error:
        raise errors.UserError(
            f"{error.name} is not installed; pip install 'keras-aae[all]' brings all that training "
            "needs"
        ) from error

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
    parser.add_argument("--run_dir", required=True, help="the directory of the run")
    parser.add_argument(
        "--export_page", default="", help="write the page to this folder, for any web server"
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
    except KeyboardInterrupt:
        print("keras_aae: interrupted", file=sys.stderr)
        return 130
    return 0


def _show(given: argparse.Namespace) -> None:
    """Serves the page, and opens the browser on it, until Ctrl-C."""
    with tempfile.TemporaryDirectory() as folder, serve(pathlib.Path(folder), given.port) as local:
        build(given.run_dir, pathlib.Path(folder))
        address = f"http://127.0.0.1:{local.server_port}/"
        print(f"page       {address} (Ctrl-C ends it)", flush=True)
        webbrowser.open(address)
        with contextlib.suppress(KeyboardInterrupt):
            local.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
