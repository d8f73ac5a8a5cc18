"""Item texts: templates, cleaning, caps and blanks."""

import polars as pl
import pytest

from ace_steps.errors import InputError
from ace_steps.preprocess.item_text import write_texts
from tests.preprocess.conftest import dataset_settings

AUTHORS = "The {dataset} item has the following attributes: \n {attributes}"


def texts(items, **changes):
    rules = {"template": "{attributes}", "blank_text": "error", **changes}
    return write_texts(pl.DataFrame(items), "Shop", dataset_settings(**rules))


def one(title, **changes):
    written, _ = texts({"item_id": ["a"], "title": [title]}, template="{title}", **changes)
    return written["text"][0]


def test_the_authors_template_lists_every_attribute_that_is_there():
    items = {"item_id": ["a", "b"], "title": ["Lamp", "Vase"], "price": ["3.5", None]}
    assert texts(items, template=AUTHORS)[0]["text"].to_list() == [
        "The Shop item has the following attributes: \n title: Lamp; price: 3.5;",
        "The Shop item has the following attributes: \n title: Vase;",
    ]


def test_chosen_columns_are_listed_in_the_order_given():
    items = {"item_id": ["a"], "title": ["Lamp"], "brand": ["Lux"], "price": ["3"]}
    written, _ = texts(items, text_columns=["price", "title"])
    assert written["text"][0] == "price: 3; title: Lamp;"


def test_a_template_names_columns_directly():
    items = {"item_id": ["a"], "title": ["Lamp"], "brand": ["Lux"]}
    assert texts(items, template="{brand}: {title}!")[0]["text"][0] == "Lux: Lamp!"


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
    assert one(raw) == clean


def test_without_cleaning_only_white_space_changes():
    assert one(" <b>A &amp;\tB</b> ", clean_html=False) == "<b>A & B</b>".replace("&", "&amp;")


def test_long_fields_are_cut_by_characters_and_counted():
    items = {"item_id": ["a", "b"], "title": ["éééé éé", "abc"], "brand": ["123456", None]}
    written, counts = texts(items, max_field_chars=5)
    assert written["text"].to_list() == ["title: éééé; brand: 12345;", "title: abc;"]
    assert counts["shortened_fields"] == 2


def test_a_blank_text_is_an_error_with_examples():
    items = {"item_id": ["c", "a", "b"], "title": ["", None, "x"]}
    with pytest.raises(InputError, match=r"2 items have no text, e\.g\. a, c; set blank_text"):
        texts(items, template=AUTHORS)


def test_a_blank_text_becomes_the_placeholder_and_is_counted():
    items = {"item_id": ["a", "b"], "title": ["<br>", "Lamp"]}
    written, counts = texts(items, template=AUTHORS, blank_text="placeholder")
    assert written["text"][0] == "unknown item"
    assert counts["blank_texts"] == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"template": "{titel}"}, "template: unknown column 'titel'; did you mean 'title'"),
        ({"text_columns": ["titel"]}, "text_columns: unknown column 'titel'; did you mean 'title'"),
    ],
)
def test_a_name_that_is_no_column_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        texts({"item_id": ["a"], "title": ["Lamp"]}, **changes)
