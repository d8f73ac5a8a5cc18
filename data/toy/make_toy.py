"""Write the toy dataset, whose every count can be checked by hand.

python data/toy/make_toy.py

Users u00 to u39 walk along 24 items in a circle: user k starts at item 5k mod 24 and takes
4 + (k mod 5) steps of one item, one a day. That is 8 * (4 + 5 + 6 + 7 + 8) = 240 events, and what
comes next is always the next item. Four events beside them show the filters at work:

- u00 ends with item i24, which nobody else has: with two events an item it goes;
- u40 has two events only, items i00 and i01: with three events a user it goes;
- u01's first pair of user and item is repeated at the end: a duplicate.

So 244 events of 41 users and 25 items are raw, and 40 users, 24 items and 241 events are left with
three events a user and two an item (240 without the duplicate). u02's second and third events
share one time: a tie, kept in file order.
"""

from pathlib import Path

COLOURS = ("red", "blue", "green", "white", "black")
THINGS = ("lamp", "chair", "table", "vase", "clock")
FIRST_S, DAY_S = 1_600_000_000, 86_400


def events() -> list[tuple[str, str, int]]:
    """User, item and time of every event, in file order."""
    rows = []
    for user in range(40):
        for step in range(4 + user % 5):
            day = 1 if user == 2 and step == 2 else step
            rows.append((f"u{user:02}", f"i{(5 * user + step) % 24:02}", FIRST_S + day * DAY_S))
    late = FIRST_S + 20 * DAY_S
    rows += [("u00", "i24", late), ("u40", "i00", late), ("u40", "i01", late + DAY_S)]
    return [*rows, ("u01", "i05", late)]


def main() -> None:
    """Write toy.inter and toy.item beside this file."""
    folder = Path(__file__).parent
    log = "".join(f"{user}\t{item}\t{time}\n" for user, item, time in events())
    header = "user_id:token\titem_id:token\ttimestamp:float\n"
    (folder / "toy.inter").write_text(header + log, encoding="utf-8")
    rows = [
        f"i{i:02}\t{COLOURS[i % 5]} {THINGS[i // 5]}\t{THINGS[i // 5]}\t{5 + i}\n"
        for i in range(25)
    ]
    header = "item_id:token\ttitle:token_seq\tcategory:token\tprice:float\n"
    (folder / "toy.item").write_text(header + "".join(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
