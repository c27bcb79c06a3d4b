"""Text that stays on its line, in UTF-8, wherever it is written."""

import unicodedata

# Control characters, halves of surrogate pairs (bytes that are no UTF-8), ends of lines.
_STRANGE = ("Cc", "Cs", "Zl", "Zp")


def is_plain(text: str) -> bool:
    """Whether the text has no control characters and no line ends, and can be written as UTF-8."""
    return not any(map(_is_strange, text))


def escaped(text: str) -> str:
    r"""Plain text that shows any: what isn't plain in it becomes an escape of Python's, like \n."""
    return "".join(ascii(each)[1:-1] if _is_strange(each) else each for each in text)


def _is_strange(character: str) -> bool:
    return unicodedata.category(character) in _STRANGE
