"""What is installed with the project: which releases, of what content, in which image."""

import itertools
import json
import re
import tomllib

from conftest import ROOT
from packaging import requirements
from packaging import utils
import pytest

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WEB = ROOT / "keras_aae/deployment/web"
TRIED = {
    utils.canonicalize_name(name): release
    for name, release in re.findall(
        r"^([\w.-]+)==(\S+)", (ROOT / "constraints.txt").read_text(), re.M
    )
}

# The last release before the one that mends an advisory, and the advisory.
ADVISORIES = [
    ("jinja2", "3.1.5", "CVE-2025-27516, out of the sandbox"),
    ("keras", "3.14.1", "CVE-2026-12570, memory without a bound when a model is loaded"),
    ("pillow", "12.2.0", "PYSEC-2026-2253 to 2257, damaged images"),
    ("playwright", "1.55.0", "CVE-2025-59288, browsers downloaded unchecked"),
    ("protobuf", "6.33.4", "CVE-2026-0994, recursion without a bound"),
    ("pytest", "9.0.2", "CVE-2025-71176, temporary folders of another user"),
    ("scikit-learn", "1.4.2", "CVE-2024-5206, training data kept"),
    ("setuptools", "82.0.1", "PYSEC-2026-3447"),
    ("tqdm", "4.66.2", "CVE-2024-34062, code run by arguments"),
]

BUILD = [requirements.Requirement(line) for line in PROJECT["build-system"]["requires"]]

# For benchmarks alone, which no test installs; and what builds, which isn't installed.
NOT_INSTALLED = {"pythae", "torch", *(each.name for each in BUILD)}


def direct():
    """What the project itself asks for, in every extra."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    lines = [*PROJECT["project"]["dependencies"], *itertools.chain(*extras)]
    found = map(requirements.Requirement, lines)
    return [each for each in found if each.name != "keras-aae"]


@pytest.mark.parametrize(("name", "release", "_"), ADVISORIES)
def test_no_release_with_a_known_advisory_is_allowed(name, release, _):
    allowed = [each.specifier for each in [*direct(), *BUILD] if each.name == name]
    assert allowed and not any(release in each for each in allowed)


@pytest.mark.parametrize("required", [*direct(), *BUILD], ids=str)
def test_every_dependency_has_bounds_around_what_was_tried(required):
    assert {">=", "<"} <= {bound.operator for bound in required.specifier}
    assert required.name in NOT_INSTALLED or TRIED[required.name] in required.specifier


def test_what_was_tried_is_locked_by_its_content():
    text = (ROOT / "requirements.lock").read_text()
    entries = re.findall(
        r"^([\w.-]+)==([^\s;]+)[^\\\n]*\\\n((?: +--hash=sha256:[0-9a-f]{64}.*\n)+)", text, re.M
    )
    locked = {utils.canonicalize_name(name): release for name, release, _ in entries}
    assert len(entries) == len(re.findall(r"^[\w.-]+==", text, re.M))
    assert locked.items() >= TRIED.items()
    assert {"setuptools", "wheel"} <= locked.keys()  # Without isolation they build what is here.


def test_the_packages_of_the_page_are_locked_by_their_content():
    text = (WEB / "package-lock.json").read_text()
    packages = json.loads(text)["packages"]
    wanted = json.loads((WEB / "package.json").read_text())
    assert packages.pop("")["dependencies"] == wanted["dependencies"]
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert "resolved" not in text  # No registry but the user's own.


def test_the_image_of_the_server_has_a_release():
    compose = (ROOT / "saved_models/compose.yaml").read_text()
    assert re.findall(r"image: (\S+)", compose) == [
        f"tensorflow/serving:{TRIED['tensorflow-serving-api']}"
    ]


def test_every_file_of_tests_is_a_bazel_target():
    lists = re.findall(r"^(?:QUICK|LARGE) = \[.*?\]", (ROOT / "BUILD").read_text(), re.M | re.S)
    listed = re.findall(r'"(\w+)"', "".join(lists))
    assert sorted(listed) == sorted(
        path.stem.removeprefix("test_") for path in (ROOT / "tests").glob("test_*.py")
    )
