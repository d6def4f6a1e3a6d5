"""Model files as somebody might leave them in the lake."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from datetime import UTC, datetime
from typing import Any

import numpy as np
import skops.io
from sklearn.linear_model import SGDRegressor

from flywheel.records.encode import Encoding, Input
from flywheel.registry.card import ModelCard

AS_OF = datetime(2013, 2, 1, tzinfo=UTC)
CARD = ModelCard(
    task="regression",
    algorithm="sgd",
    encoding=Encoding(inputs=[Input(feature=name, kind="number") for name in ("wind", "distance")]),
    rows=20,
    as_of=AS_OF,
    baseline_id="b1",
)


def model_bytes(slope: float) -> bytes:
    matrix = np.random.default_rng(0).normal(size=(20, 2))
    return bytes(skops.io.dumps(SGDRegressor().fit(matrix, slope * matrix[:, 0])))


class Evil:
    def __reduce__(self) -> Any:
        return os.mkdir, ("pwned",)


def forgeries(good: bytes, other: bytes) -> dict[str, bytes]:
    """What may stand where ``good`` was; ``other`` is another model's file."""
    return {
        "a byte changed": good[:500] + bytes([good[500] ^ 1]) + good[501:],
        "cut short": good[:-1],
        "something after it": good + b"\0",
        "another's": other,
        "a pickle": pickle.dumps(Evil()),
        "a pickle in a zip": _zipped("schema.json", pickle.dumps(Evil())),
        "a zip that climbs out": _zipped("../../pwned", b"{}"),
        "empty": b"",
    }


def _zipped(name: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, content)
    return stream.getvalue()
