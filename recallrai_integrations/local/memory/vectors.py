"""Nearness in meaning: one vector for each version of a memory, compared by sqlite-vec.

Vectors are stored normalised, as 32-bit floats. Where Python's SQLite cannot load extensions, a function of
the same name compares them in Python: the same results, slower.
"""

from __future__ import annotations

import math
import sqlite3
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import mul
from typing import Any, cast

import sqlite_vec  # type: ignore[import-untyped]  # it ships no types

from .index import Hit


@dataclass(frozen=True, slots=True)
class Vector:
    """A text's place in meaning.

    Args:
        model: the name of the model that made it; only vectors of the same model are compared.
        values: the vector.
        unrelated: the cosine of texts that have nothing in common.
        sure: the cosine of a question and its answer.
    """

    model: str
    values: Sequence[float]
    unrelated: float = 0.0
    sure: float = 0.8


def put(db: sqlite3.Connection, user_pk: int, memory_pk: int, vector: Vector) -> None:
    """Store the vector of one version of a memory."""
    db.execute(
        "INSERT OR REPLACE INTO vectors (user_pk, memory_pk, model, vector) VALUES (?, ?, ?, ?)",
        (user_pk, memory_pk, vector.model, _packed(vector.values)),
    )


def search(db: sqlite3.Connection, user_pk: int, wanted: Vector, limit: int) -> list[Hit]:
    """The user's chains nearest to a vector, nearest first; the similarity is the cosine, at least 0.

    A chain is as near as the nearest of its versions.
    """
    _prepare(db)
    packed = _packed(wanted.values)
    rows = db.execute(
        "SELECT m.chain_pk, min(vec_distance_cosine(v.vector, ?)) AS distance"
        " FROM vectors v JOIN memories m ON m.pk = v.memory_pk"
        " WHERE v.user_pk = ? AND v.model = ? AND length(v.vector) = ?"
        " GROUP BY m.chain_pk ORDER BY distance, m.chain_pk DESC LIMIT ?",
        (packed, user_pk, wanted.model, len(packed), limit),
    )
    return [Hit(chain, min(1.0, max(0.0, 1.0 - distance))) for chain, distance in rows]


def _packed(vector: Sequence[float]) -> bytes:
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return array("f", [value / length for value in vector]).tobytes()


def _prepare(db: sqlite3.Connection) -> None:
    try:
        db.execute("SELECT vec_version()")
    except sqlite3.OperationalError:
        if hasattr(db, "enable_load_extension"):
            db.enable_load_extension(True)
            cast("Any", sqlite_vec).load(db)
            db.enable_load_extension(False)
        else:
            db.create_function("vec_version", 0, lambda: "python", deterministic=True)
            db.create_function("vec_distance_cosine", 2, _distance, deterministic=True)


def _distance(one: bytes, other: bytes) -> float:
    products: Iterable[float] = map(mul, memoryview(one).cast("f"), memoryview(other).cast("f"))
    return 1.0 - sum(products)
