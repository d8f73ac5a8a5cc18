import pytest

from ace_steps.reporting import formatting

THIN = "\N{NARROW NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (12101.0, f"12{THIN}101"),
        (0.95623, "0.9562"),
        (107.61, "107.6"),
        (134515008, f"134{THIN}515{THIN}008"),
        (12345.6, f"12{THIN}346"),
        (-0.0027968, "\N{MINUS SIGN}0.002797"),
        (-7.189e-06, "\N{MINUS SIGN}7.2e\N{MINUS SIGN}6"),
        (0.0001, "0.0001"),
        (None, formatting.MISSING),
        (float("nan"), formatting.MISSING),
        (float("inf"), "inf"),
    ],
)
def test_numbers_are_short_and_read_at_a_glance(value, text):
    assert formatting.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(8.24, "8.2 s"), (59.96, "1 min 00 s"), (185, "3 min 05 s"), (7620, "2 h 07 min")],
)
def test_durations_have_two_units_at_most(value, text):
    assert formatting.seconds(value) == text


def test_a_point_is_its_entry_with_its_grid_values():
    assert formatting.grid_point("ace", '{"lambda": 5}') == "ace (λ = 5)"
    assert formatting.grid_point("sasrec", '{"training.lr": 0.0005}') == "sasrec (lr = 0.0005)"
    assert formatting.grid_point("svd", "{}") == "svd"


def test_a_change_has_its_sign():
    assert formatting.change(0.1234) == "+12.3 %"
    assert formatting.change(-0.02) == "\N{MINUS SIGN}2.0 %"
    assert formatting.change(None) == ""


def test_names_are_words():
    assert formatting.phrase("n_texts") == "Texts"
    assert formatting.phrase("tied_events_share") == "Tied events share"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "< 0.0001"),
        (0.0001, "0.0001"),
        (0.04321, "0.043"),
        (1.0, "1"),
        (None, formatting.MISSING),
        (float("nan"), formatting.MISSING),
    ],
)
def test_a_p_value_has_two_digits_and_never_is_nought(value, text):
    assert formatting.p_value(value) == text


def test_a_difference_has_its_sign():
    assert formatting.signed(0.005) == "+0.0050"
    assert formatting.signed(-0.0123) == "\N{MINUS SIGN}0.0123"
