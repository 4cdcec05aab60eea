"""Django's ORM above the drivers, and the lines of templates."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from microdelay.diagnose.case import Case
from microdelay.diagnose.rules import n_plus_one
from microdelay.traces import Recording, assemble

Record = Callable[..., Recording]

PROGRAM = """
import os, sys, types
from urllib.parse import urlsplit
import django
from django.conf import settings
dsn = urlsplit(os.environ["DSN"])
engine = "django.db.backends." + dsn.scheme
name = dsn.path[1:] or "file.db"
database = dict(ENGINE=engine, NAME=name, USER=dsn.username, PASSWORD=dsn.password, HOST=dsn.hostname, PORT=dsn.port)
templates = dict(BACKEND="django.template.backends.django.DjangoTemplates", DIRS=[os.getcwd()])
settings.configure(DATABASES={"default": database}, TEMPLATES=[templates], INSTALLED_APPS=[])
django.setup()
from django.db import connection, models
class Customer(models.Model):
    name = models.CharField(max_length=20)
    class Meta: app_label = "shop"
class Order(models.Model):
    customer = models.ForeignKey(Customer, models.CASCADE)
    class Meta: app_label = "shop"
    def others(self):
        return Order.objects.filter(customer_id=self.customer_id + self.id).count()
def fill():
    with connection.schema_editor() as editor:
        editor.create_model(Customer)
        editor.create_model(Order)
    for number in range(1, 5):
        Order.objects.create(id=number, customer=Customer.objects.create(id=number, name=f"name-secret-{number}"))
with open("list.html", "w") as template:
    template.write("{% for order in orders %}\\n<b>{{ order.customer.name }}</b>\\n{{ order.others }}\\n{% endfor %}")
from django.template.loader import render_to_string
def view():
    return render_to_string("list.html", {"orders": Order.objects.order_by("id")})
def loop():
    for order in Order.objects.all():
        order.customer.name
fill()
assert "name-secret-3" in view()
loop()
"""


@pytest.mark.parametrize("scheme", ["sqlite3", "postgresql"])
def test_statements_of_the_orm_stand_at_the_line_that_asks(recording: Record, postgresql: str, scheme: str) -> None:
    made = recording(PROGRAM, DSN=postgresql if scheme == "postgresql" else "sqlite3://")
    selects = [span for span in made.spans if span.name.startswith("SELECT shop_") and "part" not in span.attributes]
    assert {span.site.file.rpartition("/")[2] for span in selects if span.site} == {"list.html", "program.py"}
    in_template = [span for span in selects if span.site and span.site.file.endswith("list.html")]
    assert [(span.name, span.site.line) for span in in_template if span.site] == [
        ("SELECT shop_order", 1),
        *[("SELECT shop_customer", 2)] * 4,
    ]
    assert {span.attributes["microdelay.orm"] for span in in_template[1:]} == {"django shop.Customer"}
    calls = {made.invocations[span.invocation].function for span in in_template}
    assert calls == {"view"}
    in_python = [span for span in selects if span not in in_template and span.site]
    functions = [span.site.function for span in in_python if span.site]
    assert functions == ["Order.others"] * 4 + ["loop"] * 5
    assert b"name-secret" not in Path(made.path).read_bytes()
    assert not made.warnings


def test_an_n_plus_one_in_a_template_is_found_at_its_line(recording: Record) -> None:
    made = recording(PROGRAM, DSN="sqlite3://")
    found = n_plus_one.find(Case(made, assemble(made)))
    places = {(finding.where.file.rpartition("/")[2], finding.where.line) for finding in found}
    assert ("list.html", 2) in places
