"""Everything stands in pyproject.toml, but for one thing.

setuptools builds in `build/`, which clashes with the file BUILD where file names ignore case.
"""

import setuptools

setuptools.setup(options={"build": {"build_base": ".build"}})
