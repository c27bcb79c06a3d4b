"""Writes the tables of the documentation, and the figure of speed: `python docs/tables.py`.

A table stands between `<!-- results: semisup ... -->` and `<!-- end -->` and shows the studies
docs/results/<name>.json, which are the summaries that `--seeds` leaves; or between
`<!-- benchmarks: <case> -->` and the same, and shows a case of docs/benchmarks.json, which
`python -m benchmarks --output=docs/benchmarks.json` leaves.
"""

import json
import pathlib
import re
import sys

from keras_aae.reporting import figures
from keras_aae.reporting import tables

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import figure as benchmarks_figure  # noqa: E402, it is not installed.
from benchmarks import tables as benchmarks_tables  # noqa: E402

PAGES = (ROOT / "README.md", ROOT / "docs/RESULTS.md", ROOT / "docs/PERFORMANCE.md")
_BLOCK = re.compile(r"(<!-- (results|benchmarks): ([\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_PUBLISHED = {  # The test error of the paper's AAE, percent, or its nats.
    "semisup": "1.90 ± 0.10",
    "semisup_1000": "1.60 ± 0.08",
    "semisup_all": "0.85 ± 0.02",
    "semisup_paper": "1.90 ± 0.10",
    "clustering_16": "9.55 ± 2.05",
    "clustering_30": "4.10 ± 1.13",
    "dimreduce_2d_unsup": "13.18",
    "dimreduce_2d_1000": "4.20",
    "dimreduce_2d_100": "6.08",
    "dimreduce_10d_100": "3.90",
    "likelihood": "340 ± 2 nats",
}


def filled(page: str) -> str:
    """The text of a page with its tables made anew."""
    made = {"results": _results, "benchmarks": _benchmarks}
    return _BLOCK.sub(lambda match: match[1] + made[match[2]](match[3]) + match[4], page)


def _benchmarks(case: str) -> str:
    return benchmarks_tables.shown(case, _times()[case])


def _times() -> dict[str, dict[str, list[float]]]:
    return json.loads((ROOT / "docs/benchmarks.json").read_text(encoding="utf-8"))


def _results(block: str) -> str:
    groups, names = [], block.split()
    for name in names:
        (group,) = tables.read(str(ROOT / f"docs/results/{name}.json"))
        groups.append(group._replace(name=f"`{name}.cfg`"))
    header, *rows = tables.rows(groups)
    published = [_PUBLISHED.get(name, "-") for name in names]
    shown = [[row[0], paper, *row[1:]] for row, paper in zip(rows, published, strict=True)]
    return tables.markdown([[header[0], "the paper", *header[1:]], *shown])


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
    picture = benchmarks_figure.bars(_times())
    (ROOT / "docs/performance.png").write_bytes(figures.png(picture))
