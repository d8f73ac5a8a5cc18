"""Item texts: templates, cleaning, caps and blanks."""

import polars as pl
import pytest

from ace_steps.errors import InputError
from ace_steps.preprocess.item_text import write_texts
from ace_steps.preprocess.settings import DatasetSettings
from tests.preprocess.conftest import dataset_settings

AUTHORS = DatasetSettings.model_fields["template"].default
SENTENCE = "The Shop item has the following attributes: \n "  # as the authors have it
LAMP = {"item_id": ["a", "b"], "title": ["Lamp", "Vase"], "brand": ["Lux", None], "price": [3.5, 4]}


def texts(items, **changes):
    rules = {"template": "{attributes}", "blank_text": "error", **changes}
    written, counts = write_texts(pl.DataFrame(items), "Shop", dataset_settings(**rules))
    return written["text"].to_list(), counts


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"template": AUTHORS},
            [
                f"{SENTENCE}title: Lamp; brand: Lux; price: 3.5;",
                f"{SENTENCE}title: Vase; price: 4.0;",
            ],
        ),
        ({"text_columns": ["brand", "title"]}, ["brand: Lux; title: Lamp;", "title: Vase;"]),
        ({"template": "{brand}: {title}!"}, ["Lux: Lamp!", ": Vase!"]),
    ],
)
def test_a_template_lists_chosen_attributes_or_names_columns(changes, expected):
    assert texts(LAMP, **changes)[0] == expected


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("Salt &amp; Pepper", "Salt & Pepper"),
        ("Caf&eacute; &#233;&#xe9;", "Café éé"),
        ("5 &lt; 6", "5 < 6"),
        ("&amp;lt; &lt;", "&lt; <"),  # one pass, not two
        ("AT&T &nosuch; R&D", "AT&T &nosuch; R&D"),
        ("a<br/>b <b class='x'>c</b>", "a b c"),
        ("<script>alert('x')</script>text<!-- no -->", "text"),
        ("I <3 you, a < b > c", "I <3 you, a < b > c"),
        ("tab\there\r\n  two   spaces ", "tab here two spaces"),
        ("&lt;b&gt;", "<b>"),  # an escaped tag is text
    ],
)
def test_html_becomes_plain_text(raw, clean):
    assert texts({"item_id": ["a"], "title": [raw]}, template="{title}")[0] == [clean]


def test_without_cleaning_only_white_space_changes():
    items = {"item_id": ["a"], "title": [" <b>A &amp;\tB</b> "]}
    assert texts(items, template="{title}", clean_html=False)[0] == ["<b>A &amp; B</b>"]


def test_long_fields_are_cut_by_characters_and_counted():
    items = {"item_id": ["a", "b"], "title": ["éééé éé", "abc"], "brand": ["123456", None]}
    written, counts = texts(items, max_field_chars=5)
    assert written == ["title: éééé; brand: 12345;", "title: abc;"]
    assert counts["shortened_fields"] == 2


def test_a_blank_text_is_an_error_with_examples_or_the_placeholder():
    items = {"item_id": ["c", "a", "b"], "title": ["<br>", None, "x"]}
    with pytest.raises(InputError, match=r"2 items have no text, e\.g\. a, c; set blank_text"):
        texts(items)
    written, counts = texts(items, blank_text="placeholder")
    assert written == ["unknown item", "unknown item", "title: x;"]
    assert counts["blank_texts"] == 2


@pytest.mark.parametrize("changes", [{"template": "{titel}"}, {"text_columns": ["titel"]}])
def test_a_name_that_is_no_column_is_refused(changes):
    with pytest.raises(InputError, match=f"{next(iter(changes))}: .*'titel'.*'title'"):
        texts(LAMP, **changes)
