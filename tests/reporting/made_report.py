"""The steps of a report on made results, and a reader of the page they write."""

import html.parser

from ace_steps.config import grid
from ace_steps.reporting import plots
from ace_steps.reporting.page import Figure
from ace_steps.steps import collect_metrics, compare_runs, write_report
from tests.reporting.made_results import as_option, made_config, make_results

CONFIG = made_config([0, 5, 50], [1], ("random", "whitening"))
QUALITY = {"random": 0.3, "whitening": 0.6, 0: 0.5, 5: 0.9, 50: 0.4}  # by lambda, or by entry
N_USERS = 300


class Page(html.parser.HTMLParser):
    """What a browser would fetch, the ids, the words of every image."""

    def __init__(self, text):
        super().__init__()
        self.links, self.ids, self.images = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.links += [values[name] for name in ("src", "href") if name in values]
        self.ids += [values["id"]] if "id" in values else []
        self.images += [values["alt"]] if tag == "img" else []


def make(folder, config=CONFIG, by=QUALITY):
    """Everything that a report reads."""
    points = grid.expand(config["refinements"]).values()
    quality = {p.name: by[p.values.get("lambda", p.entry)] for p in points}
    make_results(folder / "results", folder / "benchmarks", config, quality, N_USERS)
    assert collect(folder, config) == 0
    report = folder / "results/report"
    options = ["--config", as_option(config), "--results", str(folder / "results")]
    for table in ("metrics", "runs", "comparisons"):
        options += [f"--{table}", str(report / f"{table}.parquet")]
    assert compare_runs.main(options) == 0


def collect(folder, config=CONFIG):
    options = ["--config", as_option(config), "--results", str(folder / "results")]
    options += ["--logs", str(folder / "logs")]
    for table in ("metrics", "runs", "selection", "gaps"):
        options += [f"--{table}", str(folder / "results/report" / f"{table}.parquet")]
    return collect_metrics.main(options)


def write(folder, config=CONFIG):
    report = folder / "results" / "report"
    options = ["--config", as_option(config), "--results", str(folder / "results")]
    options += ["--benchmarks", str(folder / "benchmarks"), "--logs", str(folder / "logs")]
    files = {"report": "report.html", "markdown": "report.md", "summary": "summary.txt"}
    for name, file in (files | {"figures": "figures"}).items():
        options += [f"--{name}", str(report / file)]
    return write_report.main(options)


def draw_nothing(monkeypatch):
    """Leave the images of figures empty: drawing takes most of a report's time."""

    def empty(axes, file, caption, *, legend, data, source):
        return Figure(file, caption, "", (1, 1), "", data.write_csv(), source)

    monkeypatch.setattr(plots, "finished", empty)


def text_of(folder, name):
    return (folder / "results" / "report" / name).read_text()
