"""What goes in and what comes out: the query string, the answer and the problem document."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

INTEGER = re.compile(r"-?[0-9]+")


def check_integer(value: Any) -> Any:
    # Pydantic's own parsing also takes "1.0", " 5" and "1_000".
    if isinstance(value, str) and not INTEGER.fullmatch(value):
        raise PydanticCustomError("int_parsing", "Input should be an integer")
    return value


Integer = Annotated[int, BeforeValidator(check_integer)]
Price = Annotated[Integer, Field(ge=0, le=10_000_000)]
Text = Annotated[str, Field(min_length=1, max_length=40)]


class ProductQuery(BaseModel):
    category: Text | None = None
    # Before min_price, whose validator looks at it.
    max_price: Price | None = None
    min_price: Price | None = None
    q: Text | None = None
    sort: Literal["price", "rating", "name"] = "name"
    limit: Annotated[Integer, Field(ge=1, le=50)] = 20

    # A validator of the field, not of the model: it also runs when another parameter is wrong.
    @field_validator("min_price")
    @classmethod
    def check_range(cls, value: int | None, info: ValidationInfo) -> int | None:
        max_price = info.data.get("max_price")
        if value is not None and max_price is not None and value > max_price:
            raise PydanticCustomError("price_range", "Input should not be greater than max_price")
        return value


@dataclass(frozen=True, slots=True)
class Product:
    id: int
    name: str
    category: str
    price_cents: int
    discount_percent: int
    rating: float
    stock: int
    tags: list[str]
    final_cents: int
    name_lower: Annotated[str, Field(exclude=True)]


class Totals(BaseModel):
    matched: int
    shown: int
    final_cents: int
    saved_cents: int
    in_stock: int


class ProductPage(BaseModel):
    items: list[Product]
    totals: Totals


class BadParameter(BaseModel):
    parameter: str
    detail: str


class Problem(BaseModel):
    """Problem details, RFC 9457."""

    title: str = "Bad Request"
    status: int = 400
    detail: str = "At least one query parameter is not valid."
    errors: list[BadParameter]
