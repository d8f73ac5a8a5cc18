"""write_report on configurations with more or less in them than one grid of one setup."""

import re

from tests.reporting.made_report import Page, make, text_of, write
from tests.reporting.made_results import made_config


def test_datasets_encoders_and_seeds_each_have_their_place(tmp_path):
    config = made_config([0, 5], [1, 2], ("random",))
    config["datasets"]["fair"] = config["datasets"]["shop"]
    config["encoders"]["large"] = config["encoders"]["small"]
    make(tmp_path, config, {"random": 0.3, 0: 0.5, 5: 0.8})
    assert write(tmp_path, config) == 0
    page = Page(text_of(tmp_path, "report.html"))
    assert len(page.ids) == len(set(page.ids))
    for pair in ("shop-small", "shop-large", "fair-small", "fair-large"):
        assert f"geometry-{pair}" in page.ids
        assert f"scores-{pair}-sasrec" in page.ids
    assert "± 0.0" in text_of(tmp_path, "report.html")
    assert text_of(tmp_path, "summary.txt").count("ace (λ = 5)") == 4


def test_a_backbone_grid_is_chosen_from_and_shown(tmp_path):
    config = made_config([5], [1], ("random",))
    config["backbones"]["sasrec"]["training"]["lr"] = [0.0005, 0.001]
    make(tmp_path, config, {"random": 0.3, 5: 0.8})
    assert write(tmp_path, config) == 0
    assert len(re.findall(r'<tr class="is-chosen">', text_of(tmp_path, "report.html"))) == 2
    assert re.search(r"lr = 0.0005|lr = 0.001", text_of(tmp_path, "summary.txt"))


def test_without_a_grid_and_without_a_baseline_nothing_is_compared(tmp_path):
    config = made_config([5], [1], ("whitening",))
    config["refinements"]["ace"]["lambda"] = 5
    make(tmp_path, config, {"whitening": 0.3, "ace": 0.8})
    assert write(tmp_path, config) == 0
    page = text_of(tmp_path, "report.html")
    assert "No entry holds a grid" in page
    assert "change against" not in page
    assert "Gain over" not in page
    assert list((tmp_path / "results/report/figures/grid").iterdir()) == []


def test_names_and_settings_are_text_never_markup(tmp_path):
    config = made_config([5], [1])
    config["datasets"]["shop"]["template"] = "<script>alert(1)</script> {title}"
    make(tmp_path, config)
    assert write(tmp_path, config) == 0
    page = text_of(tmp_path, "report.html")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
