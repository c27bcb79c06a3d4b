"""The one exception that means "the person running this can mend it"."""


class UserError(Exception):
    """A mistake in a flag, a file or a run directory.

    Its message is one line that names the thing at fault, what was expected and what came. The
    command line prints it without a stack trace and exits with status 2.
    """


class NotFiniteError(UserError):
    """A loss or a weight became infinite or NaN in training."""
