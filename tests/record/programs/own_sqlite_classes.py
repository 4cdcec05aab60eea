"""A program's own connection and cursor classes, row factories and protocols of sqlite3."""

import sqlite3


class Counting(sqlite3.Connection):
    calls = 0

    def execute(self, *arguments):
        Counting.calls += 1
        return super().execute(*arguments)

    def cursor(self):
        Counting.calls += 100
        return super().cursor(Loud)


class Loud(sqlite3.Cursor):
    __slots__ = ("note",)

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.note = "loud"

    def execute(self, *arguments):
        print("executing", arguments[0], self.note)
        return super().execute(*arguments)


class Sealed(sqlite3.Connection):
    def __init_subclass__(cls):
        raise TypeError("sealed")


connection = sqlite3.connect(":memory:", factory=Counting)
print(connection.execute("create table t (a, b)").fetchall(), Counting.calls)
print(connection.cursor().execute("insert into t values (1, 'x')").rowcount, Counting.calls)
with connection:
    connection.executemany("insert into t values (?, ?)", ((n, str(n)) for n in range(3)))
try:
    with connection:
        connection.execute("insert into t values (9, 9)")
        raise KeyError
except KeyError:
    print("rolled back", connection.in_transaction)
connection.row_factory = sqlite3.Row
row = connection.execute("select * from t where a = :a", {"a": 2}).fetchone()
print(dict(row), row.keys(), [tuple(each) for each in connection.execute("select * from t")])
plain = sqlite3.connect(":memory:", isolation_level=None, factory=sqlite3.Connection, cached_statements=100)
print(plain.cursor(lambda owner: sqlite3.Cursor(owner)).execute("select 1").fetchone())
print(plain.executescript("create table t (a); insert into t values (1);").fetchall(), plain.isolation_level)
print(plain.execute("select a from t").fetchmany(5), next(plain.execute("select 7")), plain.total_changes)
plain.text_factory = bytes
print(plain.execute("select 'x'").fetchone(), list(plain.iterdump()))
cursor = plain.cursor()
print(cursor.execute("select 1 as one") is cursor, cursor.description, cursor.connection is plain, cursor.arraysize)
copy = sqlite3.connect(":memory:")
plain.backup(copy)
print(copy.execute("select count(*) from t").fetchone(), repr(copy)[:26], repr(cursor)[:22])
try:
    sqlite3.connect(":memory:", factory=Sealed)
except TypeError as error:
    print(error)
print(sqlite3.Connection(":memory:").execute("select 3").fetchone())
print(sqlite3.connect(":memory:", factory=lambda *a, **k: sqlite3.Connection(*a)).execute("select 4").fetchone())
connection.close()
try:
    connection.execute("select 1")
except sqlite3.ProgrammingError as error:
    print(error)
