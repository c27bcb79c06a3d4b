"""The version of the package, which runs keep."""

VERSION = "0.4.0"
