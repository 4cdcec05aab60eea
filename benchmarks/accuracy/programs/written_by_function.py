"""A SELECT that only calls a function of the database, which writes, and a query of what it wrote."""

import psycopg
import world

TRUTH = {"dependent": [["take", "count"]], "needs": ["postgresql"]}

writing = psycopg.connect(world.address("postgresql"), autocommit=True)
reading = psycopg.connect(world.address("postgresql"), autocommit=True)
writing.execute("DROP TABLE IF EXISTS visits")
writing.execute("CREATE TABLE visits (who int)")
writing.execute("""
    CREATE OR REPLACE FUNCTION visit(who int) RETURNS int LANGUAGE sql AS
    $$ INSERT INTO visits VALUES (who); SELECT who $$
""")


def before(n):
    who = writing.execute("SELECT visit(%s)", [n]).fetchone()[0]  # at: take
    seen = reading.execute("SELECT count(*) FROM visits WHERE who = %s", [n]).fetchone()[0]  # at: count
    return who, seen > 0


if __name__ == "__main__":
    world.main(globals())
