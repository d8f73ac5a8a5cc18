from xml.etree import ElementTree

import polars as pl

from ace_steps.config import grid
from ace_steps.reporting import plots
from ace_steps.reporting.plots import Style, shortened, styles
from tests.reporting.made_results import made_config

SVG = "{http://www.w3.org/2000/svg}"


def test_refinements_without_a_grid_differ_in_more_than_color_and_grids_are_ramps():
    points = grid.expand(made_config([0, 5, 50], [1], ("random", "svd"))["refinements"])
    looks = styles(points)
    one, other = looks["random"], looks["svd"]
    assert one.color != other.color
    assert (one.line, one.marker) != (other.line, other.marker)
    ramp = [look for name, look in looks.items() if points[name].entry == "ace"]
    assert [look.label for look in ramp] == ["ace (λ = 0)", "ace (λ = 5)", "ace (λ = 50)"]
    assert {look.line for look in ramp} == {"-"}
    assert len({look.color for look in ramp}) == 3


def test_only_the_two_largest_grids_are_ramps():
    config = made_config([0, 5, 50, 500], [1], ("random", "llm2x", "svd"))
    config["refinements"]["random"]["std"] = [0.01, 0.02, 0.05]
    config["refinements"]["svd"]["gamma"] = [0.1, 0.2, 0.3]
    points = grid.expand(config["refinements"])
    looks = styles(points)
    assert {points[name].entry for name, look in looks.items() if look.ramp} == {"random", "ace"}
    of_svd = [look for name, look in looks.items() if points[name].entry == "svd"]
    assert len({look.color for look in of_svd}) == len({look.marker for look in of_svd}) == 1
    assert len({look.line for look in of_svd}) == 3


def test_a_long_ramp_is_told_by_its_ends():
    looks = [Style(f"ace {i}", "#000000", "-", "o", "ace") for i in range(9)]
    others = [Style("random", "#7a828a", "--", "s"), Style("svd", "#e69f00", ":", "^")]
    labels = [look.label for look in shortened([others[0], *looks, others[1]])]
    assert labels == ["random", "from ace 0", "to ace 8", "svd"]
    assert shortened(looks[:3]) == looks[:3]


def figure_of(n_panels):
    with plots.panels(n_panels) as axes:
        for panel in axes:
            panel.plot([1, 2], [3.0, 4.0])
            panel.set(title="A panel", xlabel="epoch", ylabel="loss")
    data = pl.DataFrame({"epoch": [1, 2], "loss": [3.0, 4.123456789]})
    legend = [Style("one", "#000000", "-", "o"), Style("other", "#e69f00", "--", "s")]
    return plots.finished(axes, "a/b.svg", "What.", legend=legend, data=data, source="a file")


def test_a_figure_is_one_image_with_all_panels_its_words_and_its_numbers():
    figure = figure_of(2)
    root = ElementTree.fromstring(figure.svg)
    words = ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]
    assert words.count("A panel") == 2
    assert words.count("one") == words.count("other") == 1
    assert [element.text for element in root.iter(f"{SVG}title")] == ["What."]
    assert "A panel: loss against epoch" in figure.alt
    assert "Loss from 3 to 4.123" in figure.alt
    assert figure.csv == "epoch,loss\n1,3.0\n2,4.12346\n"
    assert figure == figure_of(2)  # the same bytes every time
    assert "dc:date" not in figure.svg


def test_more_than_two_panels_stand_below_one_another():
    sizes = [figure_of(n).size for n in (1, 2, 3)]
    assert sizes[0][0] < sizes[1][0] == sizes[2][0]
    assert sizes[0][1] == sizes[1][1] < sizes[2][1]
