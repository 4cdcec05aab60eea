"""What the service says to its clients."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class ProductOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    name: str
    description: str
    cents: int


class ItemOut(BaseModel):
    product: str
    quantity: int
    cents: int


class OrderOut(BaseModel):
    id: int
    status: str
    items: list[ItemOut]


class CartLine(BaseModel):
    product_id: int
    quantity: int
    cents: int


class Checkout(BaseModel):
    customer_id: int
    product_ids: list[int]


class Receipt(BaseModel):
    cents: int
    days: int
