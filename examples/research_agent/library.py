"""The research assistant's library: papers, their authors, passages and citations, in SQLite."""

from __future__ import annotations

import os
import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

FOLDER_VARIABLE = "RESEARCH_FOLDER"
BUILD_DIRECTORY = Path(__file__).resolve().parents[2] / "build" / "research_agent"

PAPERS = 3_000
PASSAGES_PER_PAPER = 5
CITATIONS_PER_PAPER = 3
SEED = 20_250_311

SCHEMA = """
CREATE TABLE papers (id INTEGER PRIMARY KEY, title TEXT, abstract TEXT);
CREATE TABLE authors (id INTEGER PRIMARY KEY, paper_id INTEGER, name TEXT);
CREATE TABLE passages (id INTEGER PRIMARY KEY, paper_id INTEGER, text TEXT);
CREATE INDEX passages_of_paper ON passages (paper_id);
CREATE TABLE citations (paper_id INTEGER, cited_id INTEGER);
CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT);
"""

NAMES = ("Abara", "Bianchi", "Chen", "Dubois", "Eriksen", "Farkas", "Gupta", "Haddad", "Ito", "Jansen", "Kaya", "Lopez")
WORD_LIST = (
    "soil moisture wheat yield sensors winter field river gauges flood satellite images weather stations drip "
    "irrigation orchard water nitrate groundwater measured frost rainfall erosion clay compost drought harvest"
)
WORDS = WORD_LIST.split()


def folder() -> Path:
    return Path(os.environ.get(FOLDER_VARIABLE) or BUILD_DIRECTORY)


def log_path() -> Path:
    folder().mkdir(parents=True, exist_ok=True)
    return folder() / "research.log"


def open_database() -> sqlite3.Connection:
    database = sqlite3.connect(folder() / "library.sqlite3")
    database.row_factory = sqlite3.Row
    return database


def prepare() -> None:
    """Builds the library unless it is there, and throws the notes of earlier sessions away."""
    path = folder() / "library.sqlite3"
    if not path.exists():
        build(path)
    with closing(open_database()) as database, database:
        database.execute("DELETE FROM notes")


def build(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    dice = random.Random(SEED)

    def words(count: int) -> str:
        return " ".join(dice.choices(WORDS, k=count))

    ids = range(1, PAPERS + 1)
    papers = [(number, words(6).capitalize(), words(60)) for number in ids]
    authors = [(number, dice.choice(NAMES)) for number in ids for _ in range(dice.randint(1, 3))]
    passages = [(number, words(40)) for number in ids for _ in range(PASSAGES_PER_PAPER)]
    citations = [(number, dice.randint(1, PAPERS)) for number in ids for _ in range(CITATIONS_PER_PAPER)]
    with closing(sqlite3.connect(unfinished)) as database, database:
        database.executescript(SCHEMA)
        database.executemany("INSERT INTO papers VALUES (?, ?, ?)", papers)
        database.executemany("INSERT INTO authors VALUES (NULL, ?, ?)", authors)
        database.executemany("INSERT INTO passages VALUES (NULL, ?, ?)", passages)
        database.executemany("INSERT INTO citations VALUES (?, ?)", citations)
    unfinished.replace(path)


def search(query: str, limit: int) -> list[dict[str, Any]]:
    """Papers whose abstract has the longest words of the query, with their authors."""
    longest = sorted({word.strip("?,.").lower() for word in query.split()}, key=lambda word: (-len(word), word))[:2]
    with closing(open_database()) as database:
        rows = database.execute(
            "SELECT id, title FROM papers WHERE abstract LIKE ? OR abstract LIKE ? ORDER BY id LIMIT ?",
            (*(f"%{word}%" for word in longest), limit),
        )
        papers = [dict(row) for row in rows.fetchall()]
        for paper in papers:
            names = database.execute("SELECT name FROM authors WHERE paper_id = ? ORDER BY id", (paper["id"],))
            paper["authors"] = [row["name"] for row in names.fetchall()]
    return papers


def passages(paper_id: int) -> list[str]:
    with closing(open_database()) as database:
        rows = database.execute("SELECT text FROM passages WHERE paper_id = ? ORDER BY id", (paper_id,))
        return [row["text"] for row in rows.fetchall()]


def cited_by(paper_id: int) -> list[int]:
    with closing(open_database()) as database:
        rows = database.execute("SELECT paper_id FROM citations WHERE cited_id = ? ORDER BY paper_id", (paper_id,))
        return [row["paper_id"] for row in rows.fetchall()]


def add_note(text: str) -> int:
    with closing(open_database()) as database, database:
        return database.execute("INSERT INTO notes (text) VALUES (?)", (text,)).lastrowid or 0
