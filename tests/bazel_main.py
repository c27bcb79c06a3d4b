"""Runs pytest on the files that the arguments name: the main file of the Bazel tests."""

import sys

import pytest

if __name__ == "__main__":
    sys.exit(pytest.main([*sys.argv[1:], "-n", "0", "-p", "no:cacheprovider"]))
