"""Processes that begin where TensorFlow and the other libraries are imported already.

A server imports them once, in the environment that the command line makes for them, and each
process is a fork of it that has run no operation of theirs. It imports this package by itself; what
it inherits are libraries.
"""

import functools
import multiprocessing
from multiprocessing import forkserver
import os
import sys
from unittest import mock

from keras_aae import errors
from keras_aae import launch


@functools.cache
def context():
    """What makes such processes, their events and locks; the server runs from the first call on."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(
        ["keras", "tensorflow_probability", "tensorflow_datasets", "sklearn.decomposition"]
    )
    with mock.patch.dict(os.environ), errors.importing_tensorflow():
        forkserver.ensure_running()
    return made


def start(arguments, cwd, stdout=os.devnull, stderr=os.devnull):
    """Starts the command line with these arguments in a folder; its output goes to files."""
    files = (os.path.abspath(stdout), os.path.abspath(stderr))
    arguments = [str(argument) for argument in arguments]
    process = context().Process(target=_command_line, args=(arguments, str(cwd), files))
    process.start()
    return process


def _command_line(arguments, cwd, files):
    for number, path in enumerate(files, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.chdir(cwd)
    sys.argv = ["keras-aae", *arguments]
    launch.run()
