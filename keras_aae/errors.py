"""The one exception that means "the person running this can mend it"."""

from keras_aae import plain_text


class UserError(Exception):
    """A mistake in a flag, a file or a run directory.

    Its message is one line that names the thing at fault, what was expected and what came. The
    command line prints it without a stack trace and exits with status 2.

    Args:
        message: The line; control characters in it, of a file's name for example, are escaped.
    """

    def __init__(self, message: str):
        super().__init__(plain_text.escaped(message))
