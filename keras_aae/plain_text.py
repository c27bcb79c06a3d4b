"""Text that stays on its line, in UTF-8, wherever it is written."""

import unicodedata

# Control characters, halves of surrogate pairs (bytes that are no UTF-8), ends of lines.
_STRANGE = ("Cc", "Cs", "Zl", "Zp")
# What changes the direction of the text after it, so that it is shown as another.
_DIRECTIONS = ("LRE", "LRO", "RLE", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


def is_plain(text: str) -> bool:
    """Whether the text is shown as it is, on one line, and can be written as UTF-8.

    It has no control characters, no line ends, and nothing that turns the direction of text.
    """
    return not any(map(_is_strange, text))


def escaped(text: str) -> str:
    r"""The text with each character that isn't plain replaced by an escape of Python's, like \n."""
    return "".join(ascii(each)[1:-1] if _is_strange(each) else each for each in text)


def _is_strange(character: str) -> bool:
    return (
        unicodedata.category(character) in _STRANGE
        or unicodedata.bidirectional(character) in _DIRECTIONS
    )
