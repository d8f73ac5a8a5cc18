import pytest

from ace_steps.reporting import formatting
from ace_steps.reporting.formatting import MINUS

THIN = "\N{NARROW NO-BREAK SPACE}"


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        (formatting.number, 0.0, "0"),
        (formatting.number, 134515008, f"134{THIN}515{THIN}008"),
        (formatting.number, 12345.6, f"12{THIN}346"),
        (formatting.number, 107.61, "107.6"),
        (formatting.number, -0.0027968, f"{MINUS}0.002797"),
        (formatting.number, -7.189e-06, f"{MINUS}7.2e{MINUS}6"),
        (formatting.number, float("inf"), "inf"),
        (formatting.seconds, 8.24, "8.2 s"),
        (formatting.seconds, 59.96, "1 min 00 s"),
        (formatting.seconds, 185, "3 min 05 s"),
        (formatting.seconds, 7620, "2 h 07 min"),
        (formatting.change, 0.1234, "+12.3 %"),
        (formatting.change, -0.02, f"{MINUS}2.0 %"),
        (formatting.change, None, ""),
        (formatting.change, float("nan"), ""),
        (formatting.p_value, 0.0, "< 0.0001"),
        (formatting.p_value, 0.0001, "0.0001"),
        (formatting.p_value, 0.04321, "0.043"),
        (formatting.signed, 0.005, "+0.0050"),
        (formatting.signed, -0.0123, f"{MINUS}0.0123"),
        (formatting.scalar, [0.0, 5e-05, None], "[0, 5e-05, null]"),
        (formatting.phrase, "n_texts", "Texts"),
        (formatting.phrase, "tied_events_share", "Tied events share"),
    ],
)
def test_values_are_short_and_read_at_a_glance(write, value, text):
    assert write(value) == text


def test_a_grid_point_is_its_entry_with_its_grid_values():
    assert formatting.grid_point("ace", '{"lambda": 5}') == "ace (λ = 5)"
    assert formatting.grid_point("sasrec", '{"training.lr": 0.0005}') == "sasrec (lr = 0.0005)"
    assert formatting.grid_point("svd", "{}") == "svd"
