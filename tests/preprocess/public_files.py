"""A small log and catalog in the form of every reader, as text."""

import json


def json_lines(*objects):
    return "".join(json.dumps(entry) + "\n" for entry in objects)


LOG = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
ITEM = "item_id:token\ttitle:token_seq\tprice:float\n"
FLAGS = "0|0|0|1|0|1" + "|0" * 13  # Animation and Comedy
MOVIELENS = {
    "100k": (
        "196\t242\t3\t881250949\n186\t302\t3\t891717742\n",
        f"242|Caf\xe9 (1995)|01-Jan-1995||http://x|{FLAGS}\n302|B (1996)||||1{'|0' * 18}\n".encode(
            "latin-1"
        ),
        [("242", "Café (1995)", "Animation, Comedy"), ("302", "B (1996)", "")],
    ),
    "1m": (
        "196::242::3::881250949\n186::302::3::891717742\n",
        '242::Caf\xe9: the "film" (1995)::Animation|Comedy\n302::B (1996)::Drama\n'.encode(
            "latin-1"
        ),
        [("242", 'Café: the "film" (1995)', "Animation, Comedy"), ("302", "B (1996)", "Drama")],
    ),
    "20m": (
        "userId,movieId,rating,timestamp\n196,242,3.0,881250949\n186,302,3.0,891717742\n",
        '\ufeffmovieId,title,genres\r\n242,"Café, ""the"" film (1995)",Animation|Comedy\r\n'
        "302,B (1996),(no genres listed)\r\n".encode(),
        [("242", 'Café, "the" film (1995)', "Animation, Comedy"), ("302", "B (1996)", None)],
    ),
}
REVIEW_2014 = {"reviewerID": "u", "asin": "a", "overall": 5.0, "unixReviewTime": 5}
REVIEW_2023 = {"user_id": "u", "parent_asin": "a", "rating": 4.0, "timestamp": 1588687728923}
REVIEW_YELP = {"user_id": "u", "business_id": "a", "stars": 5.0, "date": "2014-07-23"}
SMALL = {  # a small log and catalog of each reader's
    "table": ("who,what,when\nu,a,5\n", "sku,title,price\na,Lamp,3\n"),
    "recbole": (LOG + "u\ta\t1\t5\n", ITEM + "a\tLamp\t3\nb\tVase\t\n"),
    "amazon_2014": (json_lines(REVIEW_2014), "{'asin': 'a', 'title': 'Lamp', 'imUrl': 'x'}\n"),
    "amazon_2023": (json_lines(REVIEW_2023), json_lines({"parent_asin": "a", "title": "Lamp"})),
    "movielens": MOVIELENS["1m"][:2],
    "yelp": (json_lines(REVIEW_YELP), json_lines({"business_id": "a", "name": "L", "hours": {}})),
}
