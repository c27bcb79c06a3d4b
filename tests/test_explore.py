"""The page to explore a run: how it is made and served, and what it does in a real browser."""

import base64
import contextlib
import hashlib
import http.client
import io
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tarfile
import threading
import time
import urllib.request

from conftest import ROOT
from conftest import SMOKE
from conftest import bars
from conftest import fork
import keras
import numpy as np
from PIL import Image
import pytest
import tensorflow as tf
from test_models import SMALL
from test_models import make

from keras_aae import data
from keras_aae import errors
from keras_aae import evaluation
from keras_aae import explore
from keras_aae import models
from keras_aae.deployment import page

SIDE = 12


@pytest.fixture(scope="module")
def packages():
    try:
        return page.runtime()
    except errors.UserError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
    if not path:
        pytest.skip("no Chromium on the PATH")
    with api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        arguments += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        yield playwright.chromium.launch(executable_path=path, args=arguments)


def train(folder, dataset, *flags):
    """A run's directory `run` in a folder, and its export."""
    arguments = (f"--dataset={dataset}", *SMOKE, *flags, "--run_dir=run", "--export_dir=models")
    done = fork(*arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def semisup(bars_npz, tmp_path_factory):
    return train(tmp_path_factory.mktemp("semisup"), bars_npz, "--network=mlp", "--steps=60")


@pytest.fixture(scope="module")
def semisup_page(semisup, packages):
    return export_page(semisup)


@pytest.fixture(scope="module")
def dimreduce_page(bars_npz, tmp_path_factory, packages):
    flags = ("--network=mlp", "--model=dimreduce")
    return export_page(train(tmp_path_factory.mktemp("dimreduce"), bars_npz, *flags))


def export_page(folder):
    """The page of a run, made by the command."""
    with contextlib.chdir(folder):
        assert explore.main(["--run_dir=run", "--export_page=page"]) == 0
    return folder / "page"


class Shown:
    """A page in the browser, all of whose requests are kept."""

    def __init__(self, browser, folder, **settings):
        self.server = explore.serve()
        self.server.files = explore.contents(folder)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.page = browser.new_page(viewport={"width": 1250, "height": 900}, **settings)
        self.requests, self.faults = [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", self.hear)
        self.address = f"http://127.0.0.1:{self.server.server_port}/"
        self.page.goto(self.address)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.page.close()
        self.server.shutdown()
        self.server.server_close()

    def hear(self, message):
        """Keeps what the browser says that the page's policy forbids."""
        if "Content Security Policy" in message.text:
            self.faults.append(message.text)

    def ready(self):
        """Waits until what is shown is up to date."""
        self.page.wait_for_selector("body[data-state=ready]")

    def open(self, name, content):
        """Opens a picture, and waits until the model has seen it."""
        self.ready()
        self.page.evaluate("document.body.dataset.state = 'opening'")
        file = {"name": name, "mimeType": "image/png", "buffer": content}
        self.page.set_input_files("#picture", file)

    def pixels(self, canvas, channels=1):
        """What a canvas of the model's size shows, uint8 [1, SIDE, SIDE, channels]."""
        rgba = self.page.evaluate(
            "id => [...document.getElementById(id).getContext('2d')"
            f".getImageData(0, 0, {SIDE}, {SIDE}).data]",
            canvas,
        )
        return np.array(rgba, np.uint8).reshape(1, SIDE, SIDE, 4)[..., :channels]

    def answer(self):
        self.ready()
        return self.page.inner_text("#answer")

    def sliders(self):
        self.ready()
        return [float(each.input_value()) for each in self.page.locator("#code input").all()]


def png(image):
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, "PNG")
    return buffer.getvalue()


def test_the_page_predicts_what_the_saved_model_predicts(semisup_page, browser):
    signatures = tf.saved_model.load(str(semisup_page.parent / "models/semisup/1")).signatures

    def expected(image):
        outputs = signatures["classify"](image=tf.constant(image))
        share = float(outputs["class_probabilities"].numpy().max())
        return f"{int(outputs['class'][0])} ({100 * share:.1f} %)", outputs["style"].numpy()[0]

    with Shown(browser, semisup_page) as shown:
        for image in bars(60, seed=1)[0][:6]:
            shown.open("image.png", png(image))
            answer, style = expected(image[None])
            assert shown.answer() == answer
            np.testing.assert_array_equal(shown.pixels("seen"), image[None])
            np.testing.assert_allclose(shown.sliders(), style, atol=0.02)
            code = signatures["encode"](image=tf.constant(image[None]))
            decoded = signatures["decode"](**code)["image"].numpy()
            np.testing.assert_allclose(shown.pixels("decoded") / 255, decoded, atol=0.01)

        box = shown.page.locator("#pad").bounding_box()
        before = shown.pixels("seen")
        shown.page.mouse.move(box["x"] + 60, box["y"] + 40)
        shown.page.mouse.down()
        shown.page.mouse.move(box["x"] + 200, box["y"] + 60, steps=5)
        shown.page.mouse.move(box["x"] + 120, box["y"] + 240, steps=5)
        shown.page.mouse.up()
        shown.ready()
        drawn = shown.pixels("seen")
        assert (drawn != before).any()
        assert shown.answer() == expected(drawn)[0]

        assert not shown.faults
        outside = [url for url in shown.requests if not url.startswith((shown.address, "data:"))]
        assert not [url for url in outside if not url.startswith(f"blob:{shown.address}")]


@pytest.mark.parametrize(("event", "holds"), [("drop", "dataTransfer"), ("paste", "clipboardData")])
def test_a_picture_may_be_dropped_or_pasted(semisup_page, browser, event, holds):
    image = bars(60, seed=1)[0][5]
    give = """([content, event, holds]) => {
      const transfer = new DataTransfer();
      const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt(0));
      transfer.items.add(new File([bytes], 'image.png', {type: 'image/png'}));
      const given = new Event(event, {bubbles: true, cancelable: true});
      given[holds] = transfer;
      document.body.dataset.state = 'opening';
      return document.getElementById('code').dispatchEvent(given);
    }"""
    with Shown(browser, semisup_page) as shown:
        shown.ready()
        content = base64.b64encode(png(image)).decode()
        goes_on = shown.page.evaluate(give, [content, event, holds])
        assert goes_on == (event == "paste")  # What is dropped must not replace the page.
        shown.ready()
        np.testing.assert_array_equal(shown.pixels("seen"), image[None])
        assert not shown.faults


def test_the_camera_is_seen_until_something_else_is_shown(semisup_page, browser):
    with Shown(browser, semisup_page) as shown:
        button, example = (
            shown.page.locator("#camera"),
            shown.page.locator("#examples button").first,
        )
        for end in ("#camera", "#examples button", "#clear"):
            example.click()
            shown.ready()
            before = shown.pixels("seen")
            button.click()
            shown.page.wait_for_selector("#camera[aria-pressed=true]")
            shown.page.wait_for_timeout(300)
            assert (shown.pixels("seen") != before).any()
            shown.page.locator(end).first.click()
            shown.page.wait_for_selector("#camera[aria-pressed=false]")
            shown.page.wait_for_timeout(300)
            shown.ready()
            same = (shown.pixels("seen") == before).all()
            assert same == (end == "#examples button")
        assert not shown.pixels("seen").any()
        shown.page.evaluate(
            "void (navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('taken')))"
        )
        button.click()
        shown.page.wait_for_selector("[role=alert]:not(:empty)")
        assert shown.page.inner_text("[role=alert]") == "The camera can't be used: taken"
        assert button.is_enabled()
        assert not shown.faults


def test_the_training_examples_of_the_nearest_codes_are_shown(semisup_page, browser):
    described = json.loads((semisup_page / "model.json").read_text())
    about = described["training"]
    assert described["encoder_parts"] == ["class_probabilities", "style"]
    codes = np.array(about["codes"]) * [3, 3, 3, 1, 1]
    strip = np.asarray(Image.open(semisup_page / "training.png")).reshape(-1, SIDE, SIDE, 1)
    assert len(strip) == len(codes) == len(about["labels"])
    assert set(about["labels"]) == {-1, 0, 1, 2}
    given = about["labels"].index(2)
    with Shown(browser, semisup_page) as shown:
        shown.open("image.png", png(strip[given]))
        shown.ready()
        order = np.argsort(np.linalg.norm(codes - codes[given], axis=1))[:6]
        figures = shown.page.locator("#nearest figure")
        assert figures.count() == 6
        names = ["?" if about["labels"][i] < 0 else str(about["labels"][i]) for i in order]
        assert figures.all_inner_texts() == names
        rgba = shown.page.evaluate(
            "[...document.querySelectorAll('#nearest canvas')].map((canvas) => "
            f"[...canvas.getContext('2d').getImageData(0, 0, {SIDE}, {SIDE}).data])"
        )
        pictures = np.array(rgba, np.uint8).reshape(6, SIDE, SIDE, 4)[..., :1]
        np.testing.assert_array_equal(pictures, strip[order])


def test_a_drawing_is_scaled_and_centred_unless_asked_not_to(semisup_page, browser):
    with Shown(browser, semisup_page) as shown:
        shown.ready()
        shown.page.click("#clear")
        shown.ready()
        assert not shown.pixels("seen").any()
        box = shown.page.locator("#pad").bounding_box()
        corner = {"x": box["x"] + 20, "y": box["y"] + 20}
        shown.page.mouse.move(**corner)
        shown.page.mouse.down()
        shown.page.mouse.move(corner["x"] + 60, corner["y"] + 60, steps=4)
        shown.page.mouse.up()
        shown.ready()
        ink = shown.pixels("seen")[0, ..., 0].astype(float)
        centre = [(ink * place).sum() / ink.sum() for place in np.indices(ink.shape)]
        np.testing.assert_allclose(centre, (SIDE - 1) / 2, atol=0.2)
        extent = (ink > 64).any(axis=0).sum()
        assert abs(extent - 20 / 28 * SIDE) <= 1.5
        shown.page.uncheck("#centre")
        shown.ready()
        ink = shown.pixels("seen")[0, ..., 0]
        assert ink[: SIDE // 2, : SIDE // 2].any() and not ink[SIDE // 2 :].any()


def test_it_is_usable_from_the_keyboard_alone(semisup_page, browser):
    with Shown(browser, semisup_page) as shown:
        keys = shown.page.keyboard
        shown.ready()
        shown.page.focus("#pad")
        keys.press("Delete")
        shown.ready()
        assert not shown.pixels("seen").any()
        for key in (" ", *["ArrowDown"] * 3, *["ArrowRight"] * 2, " ", "ArrowLeft"):
            keys.press(key)
        shown.ready()
        assert shown.pixels("seen").any()

        shown.page.focus("#plane")
        keys.press("ArrowRight")
        before = shown.sliders()
        keys.press("ArrowRight")
        after = shown.sliders()
        assert after[0] > before[0] and after[1] == pytest.approx(before[1])

        shown.page.locator("#code input").nth(1).focus()
        keys.press("End")
        assert shown.sliders()[1] == pytest.approx(
            json.loads((semisup_page / "model.json").read_text())["style_limit"], rel=0.01
        )

        example = shown.page.get_by_label("Example 3")
        example.focus()
        keys.press("Enter")
        shown.ready()
        assert shown.pixels("seen").max() > 200

        every = shown.page.locator("#each button")
        every.nth(2).focus()
        keys.press("Enter")
        shown.ready()
        assert every.nth(2).get_attribute("aria-pressed") == "true"
        assert every.count() == 3


def test_clusters_of_coloured_images_are_predicted_and_named(browser, packages, tmp_path):
    grey, labels = bars(30)
    images = np.concatenate([grey, 255 - grey, grey // 2], axis=-1)
    split = data.Split(images, labels)
    dataset = data.Dataset(split, split, split, ("low", "middle", "high"))
    model = models.get("clustering")((SIDE, SIDE, 3), num_clusters=4, network=SMALL)
    results = {"name": "bars", "model": "clustering", "dataset": "bars", "labels_given": 0}
    folder = tmp_path / "page"
    page.build(model, dataset, {**results, "test": None}, packages, folder)
    with Shown(browser, folder) as shown:
        shown.open("image.png", png(images[4]))
        answer = model.classify(images[4:5])
        number, share = (
            int(answer["cluster"][0]),
            float(tf.reduce_max(answer["cluster_probabilities"])),
        )
        names = evaluation.Evaluator(model).cluster_names(split)
        name = f": {dataset.classes[names[number]]}" if names[number] >= 0 else ""
        assert shown.answer() == f"{number}{name} ({100 * share:.1f} %)"
        np.testing.assert_array_equal(shown.pixels("seen", 3), images[4:5])
        decoded = model(images[4:5]).numpy()
        np.testing.assert_allclose(shown.pixels("decoded", 3) / 255, decoded, atol=0.01)
        # What is transparent is laid on white, as in data sets.
        transparent = np.concatenate([images[5], np.zeros((SIDE, SIDE, 1), np.uint8)], axis=-1)
        shown.open("transparent.png", png(transparent))
        shown.ready()
        np.testing.assert_array_equal(shown.pixels("seen", 3), 255)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_point_of_the_plane_is_decoded_under_the_pointer(
    dimreduce_page, browser, scheme, tmp_path
):
    about = json.loads((dimreduce_page / "model.json").read_text())["map"]
    signatures = tf.saved_model.load(str(dimreduce_page.parent / "models/dimreduce/1")).signatures
    with Shown(browser, dimreduce_page, color_scheme=scheme) as shown:
        shown.ready()
        box = shown.page.locator("#plane").bounding_box()
        x, y = about["heads"][1]
        place = (x / about["limit"] + 1) / 2, (1 - y / about["limit"]) / 2
        shown.page.mouse.move(
            box["x"] + place[0] * box["width"], box["y"] + place[1] * box["height"]
        )
        np.testing.assert_allclose(shown.sliders(), 0, atol=0.05 * about["limit"])
        code = {"class_probabilities": tf.one_hot([1], 3), "style": tf.zeros([1, 2])}
        head = signatures["decode"](**code)["image"].numpy()
        np.testing.assert_allclose(shown.pixels("decoded") / 255, head, atol=0.05)
        ground = shown.page.evaluate("getComputedStyle(document.body).backgroundColor")
        brightness = int(re.search(r"\d+", ground).group())
        assert brightness > 200 if scheme == "light" else brightness < 60
        shown.page.screenshot(path=tmp_path / "page.png")
        with Image.open(tmp_path / "page.png") as picture:
            assert len(picture.convert("RGB").getcolors(1 << 20)) > 100


def test_a_file_that_is_no_picture_gets_a_clear_line(semisup_page, browser):
    with Shown(browser, semisup_page) as shown:
        shown.open("noise.png", bytes(range(256)))
        shown.page.wait_for_selector("[role=alert]:not(:empty)")
        assert shown.page.inner_text("[role=alert]").startswith("noise.png: not a picture")
        shown.page.get_by_label("Example 1", exact=True).click()
        assert shown.answer()


def test_what_is_put_into_the_page_does_not_run(semisup_page, browser, tmp_path):
    folder = tmp_path / "attacked"
    shutil.copytree(semisup_page, folder)
    index = (folder / "index.html").read_text()
    within = """<script>ran = true</script><script type=module>self.ran = true</script>
    <script src="data:text/javascript,ran = true"></script><img src="x:" onerror="ran = true">
    <style>h1 { display: none }</style><p id="within" style="color: rgb(1, 2, 3)"></p>"""
    (folder / "index.html").write_text(index.replace("<main>", f"{within}<main>"))
    with Shown(browser, folder) as shown:
        assert shown.answer()
        shown.page.evaluate(
            "document.body.append(Object.assign(document.createElement('script'),"
            "{text: 'self.ran = true'}))"
        )
        assert shown.page.evaluate("self.ran") is None
        assert shown.page.inner_text("h1")
        colour = "getComputedStyle(document.getElementById('within')).color"
        assert shown.page.evaluate(colour) != "rgb(1, 2, 3)"
        assert len(shown.faults) >= 5


def test_a_page_whose_model_is_damaged_says_so(semisup_page, browser, tmp_path):
    folder = tmp_path / "damaged"
    shutil.copytree(semisup_page, folder)
    (folder / "decode.tflite").write_bytes(bytes(range(256)))
    with Shown(browser, folder) as shown:
        shown.page.wait_for_selector("body[data-state=failed]")
        assert "can't be loaded" in shown.page.inner_text("[role=alert]")


def test_the_command_opens_the_browser_and_ends_with_ctrl_c(semisup, packages, tmp_path):
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}.part && mv {opened}.part {opened}\n')
    browser.chmod(0o755)
    process = subprocess.Popen(
        [sys.executable, "-m", "keras_aae.explore", "--run_dir=run"],
        cwd=semisup,
        env={**os.environ, "PYTHONPATH": str(ROOT), "BROWSER": str(browser)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 120
        while not opened.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        address = opened.read_text().strip()
        with urllib.request.urlopen(address) as answer:
            assert "semisup" in answer.read().decode()
    finally:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"page       {address} (Ctrl-C ends it)" in output


@pytest.fixture
def served(tmp_path):
    """A server of a small page in `tmp_path/page`, beside which there is a secret."""
    folder = tmp_path / "page"
    (folder / "litert").mkdir(parents=True)
    (folder / "index.html").write_text("the page")
    (folder / "litert/core.wasm").write_bytes(b"wasm")
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "linked").symlink_to(tmp_path)
    with explore.serve() as server:
        server.files = explore.contents(folder)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


def ask(server, path="/", method="GET", **headers):
    """The status, the type and the body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    with contextlib.closing(connection):
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read()


def test_the_page_is_served_to_this_machine_alone(served):
    assert served.server_address[0] == "127.0.0.1"
    assert ask(served) == ask(served, "/index.html?x=1") == (200, "text/html", b"the page")
    assert ask(served, "/litert/core.wasm") == (200, "application/wasm", b"wasm")
    assert ask(served, method="HEAD") == (200, "text/html", b"")
    with pytest.raises(errors.UserError, match="can't be served on"):
        explore.serve(served.server_port)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]"])
def test_it_is_served_under_the_names_of_this_machine(served, name):
    assert ask(served, Host=f"{name}:{served.server_port}")[0] == 200


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "evil.example:{port}", "localhost.evil.example:{port}", "localhost:1"],
)
def test_a_site_that_renames_itself_to_this_machine_reads_nothing(served, host):
    for path in ("/", "/litert/core.wasm", "/gone"):
        status, _, body = ask(served, path, Host=host.format(port=served.server_port))
        assert status == 421 and b"the page" not in body and b"wasm" not in body


@pytest.mark.parametrize(
    "path",
    [
        *("/gone", "/litert", "/litert/", "/link", "/linked/secret", "/../secret"),
        *("/..%2fsecret", "/%2e%2e/secret", "/litert/../../secret", "//secret", "/linked/"),
        *("http://127.0.0.1/secret", "/etc/passwd", "/%00", "*"),
    ],
)
def test_nothing_but_the_files_of_the_page_is_served(served, path):
    status, _, body = ask(served, path)
    assert status == 404 and b"secret" not in body


def idle(server, start=b"GET / HTTP/1.1\r\n"):
    """A connection that begins a request and doesn't end it."""
    connection = socket.create_connection(("127.0.0.1", server.server_port), timeout=10)
    connection.sendall(start)
    return connection


def test_idle_connections_neither_pile_up_nor_keep_others_out(served):
    before = threading.active_count()
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(idle(served))
        assert ask(served)[0] == 200
        assert threading.active_count() - before <= 40


def test_a_connection_that_takes_too_long_is_closed(served, monkeypatch):
    monkeypatch.setattr(explore, "_SECONDS", 0.3)
    with idle(served) as slow, pytest.raises(OSError):
        for _ in range(30):  # Never idle for long, never done.
            time.sleep(0.1)
            slow.sendall(b"a")
    assert ask(served)[0] == 200


def test_a_client_that_goes_away_is_nothing_to_talk_about(served, capfd):
    served.files = {"index.html": bytes(50_000_000)}
    before = threading.active_count()
    gone = idle(served, f"GET / HTTP/1.1\r\nHost: localhost:{served.server_port}\r\n\r\n".encode())
    assert gone.recv(10)
    gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    gone.close()  # With a reset, in the midst of the answer.
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert capfd.readouterr().err == ""


# The command with a page that takes no TensorFlow to make, and that may never be done.
STAND_IN = """
import sys, time, webbrowser
from keras_aae import explore

def build(run_dir, folder):
    (folder / "index.html").write_text("the page")
    print("building", flush=True)
    time.sleep(60 if run_dir == "building" else 0)

explore.build, webbrowser.open = build, print
explore.run()
"""


def started(state, folder, *before):
    """That command, once it is `building` or has a `page`; its temporary files are in a folder."""
    process = subprocess.Popen(
        [*before, sys.executable, "-c", STAND_IN, f"--run_dir={state}"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not process.stdout.readline().startswith(state):
        assert process.poll() is None, process.stderr.read()
    return process


@pytest.mark.parametrize("state", ["building", "page"])
@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_ends_it_and_leaves_no_folder(tmp_path, state, name, status):
    process = started(state, tmp_path)
    assert len(list(tmp_path.iterdir())) == (state == "building")
    process.send_signal(getattr(signal, name))
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said, list(tmp_path.iterdir())) == (status, "", [])


def test_under_nohup_it_goes_on_when_its_terminal_goes(tmp_path):
    process = started("page", tmp_path, "nohup")
    process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 143


def fake_npm(folder, script):
    """An npm of two lines in a folder; returns the folder."""
    folder.mkdir(exist_ok=True)
    (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "npm").chmod(0o755)
    return folder


def wanted_packages():
    """The release of each package of the runtime."""
    return json.loads((ROOT / "keras_aae/deployment/web/package.json").read_text())["dependencies"]


def test_the_runtime_is_installed_once(tmp_path, monkeypatch):
    script = 'mkdir -p node_modules/@litertjs/core && echo once >> "$COUNT"'
    path = fake_npm(tmp_path / "bin", script)
    monkeypatch.setenv("PATH", f"{path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("COUNT", str(tmp_path / "count"))
    for _ in range(2):
        assert (page.runtime(tmp_path / "cache") / "core").is_dir()
    assert (tmp_path / "count").read_text() == "once\n"


def test_two_processes_may_install_the_runtime_at_once(tmp_path, monkeypatch):
    script = 'mkdir -p node_modules/@litertjs/core "$PLACE/@litertjs/core"'
    monkeypatch.setenv(
        "PATH", f"{fake_npm(tmp_path / 'bin', script)}{os.pathsep}{os.environ['PATH']}"
    )
    place = tmp_path / f"cache/litertjs-{wanted_packages()['@litertjs/core']}"
    monkeypatch.setenv("PLACE", str(place))
    assert page.runtime(tmp_path / "cache") == place / "@litertjs"
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [place.name]


def test_without_npm_or_a_network_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(fake_npm(tmp_path / "bin", "echo no route >&2; exit 1")))
    with pytest.raises(errors.UserError, match=r"npm ci: failed, no network\? \(no route\)"):
        page.runtime(tmp_path / "cache")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(errors.UserError, match="npm: not found"):
        page.runtime(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """A registry of npm whose packages have other content."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        content = b'{"name": "any", "version": "1.0.0"}'
        member = tarfile.TarInfo("package/package.json")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    digest = base64.b64encode(hashlib.sha512(archive.getvalue()).digest()).decode()

    with explore.serve() as server:
        address = f"http://127.0.0.1:{server.server_port}"
        dist = {"tarball": f"{address}/any.tgz", "integrity": f"sha512-{digest}"}
        server.files = {"any.tgz": archive.getvalue()} | {
            name.replace("/", "%2f"): json.dumps(
                {"name": name, "versions": {release: {"version": release, "dist": dist}}}
            ).encode()
            for name, release in wanted_packages().items()
        }
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        monkeypatch.setenv("npm_config_registry", address)
        monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
        yield
        server.shutdown()


@pytest.mark.skipif(not shutil.which("npm"), reason="npm is not installed")
def test_packages_of_other_content_are_refused(registry, tmp_path):
    with pytest.raises(errors.UserError, match="EINTEGRITY"):
        page.runtime(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: shutil.rmtree(run), "expected the directory of a run"),
        (lambda run: (run / "results.json").unlink(), "not finished"),
        (lambda run: (run / "results.json").write_text("{"), "damaged"),
        (lambda run: (run / "model.keras").unlink(), "not finished, it has no model.keras"),
        (lambda run: (run / "model.keras").write_bytes(b"PK"), "model.keras: not readable"),
        (lambda run: (run / "examples.npz").write_bytes(b"PK"), "examples.npz: not a readable"),
    ],
)
def test_a_run_that_lacks_something_gets_one_clear_line(
    semisup, tmp_path, monkeypatch, capsys, damage, message
):
    monkeypatch.setattr(page, "runtime", lambda: tmp_path)
    monkeypatch.chdir(shutil.copytree(semisup, tmp_path / "copy"))
    damage(tmp_path / "copy/run")
    assert explore.main(["--run_dir=run", "--export_page=page"]) == 2
    assert message in capsys.readouterr().err


def test_code_in_the_model_of_a_run_does_not_run(semisup, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(page, "runtime", lambda: tmp_path)
    monkeypatch.chdir(shutil.copytree(semisup, tmp_path / "copy"))
    code = keras.layers.Lambda(lambda x: (__import__("pathlib").Path("ran").touch(), x)[1])
    keras.Sequential([keras.Input((2,)), code]).save("run/model.keras")
    ran = pathlib.Path("ran")
    ran.unlink()
    assert explore.main(["--run_dir=run", "--export_page=page"]) == 2
    assert "Lambda" in capsys.readouterr().err and not ran.exists()


@pytest.mark.parametrize("shape", [(7,), (12, 12, 4)])
def test_feature_vectors_and_images_of_four_channels_have_no_page(tmp_path, shape):
    model = make("aae")
    model.example_shape = shape
    split = data.Split(*bars(10))
    dataset = data.Dataset(split, split, split, ("low", "middle", "high"))
    with pytest.raises(errors.UserError, match="expected a model of images"):
        page.build(model, dataset, {}, tmp_path, tmp_path / "page")


def test_an_account_without_a_home_is_told_what_to_set(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # As where there is none.
    with pytest.raises(errors.UserError, match="no folder of caches: set XDG_CACHE_HOME"):
        page.runtime()
