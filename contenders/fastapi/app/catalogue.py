import json
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import Any

from .models import Product, ProductPage, ProductQuery, Totals

SORT_KEYS: dict[str, Callable[[Product], Any]] = {
    "price": attrgetter("final_cents", "id"),
    "rating": lambda product: (-product.rating, product.id),
    "name": attrgetter("name", "id"),
}


class Catalogue:
    def __init__(self, products: list[Product]) -> None:
        self.products = products

    @classmethod
    def load(cls, path: Path) -> "Catalogue":
        return cls(
            [
                Product(
                    **row,
                    final_cents=row["price_cents"] * (100 - row["discount_percent"]) // 100,
                    name_lower=row["name"].lower(),
                )
                for row in json.loads(path.read_bytes())
            ]
        )

    def search(self, query: ProductQuery) -> ProductPage:
        matches = self.products
        if (category := query.category) is not None:
            matches = [p for p in matches if p.category == category]
        if (min_price := query.min_price) is not None:
            matches = [p for p in matches if p.final_cents >= min_price]
        if (max_price := query.max_price) is not None:
            matches = [p for p in matches if p.final_cents <= max_price]
        if query.q is not None:
            q = query.q.lower()
            matches = [p for p in matches if q in p.name_lower]

        items = sorted(matches, key=SORT_KEYS[query.sort])[: query.limit]
        totals = Totals(
            matched=len(matches),
            shown=len(items),
            final_cents=sum(p.final_cents for p in matches),
            saved_cents=sum(p.price_cents - p.final_cents for p in matches),
            in_stock=sum(p.stock > 0 for p in matches),
        )
        return ProductPage(items=items, totals=totals)
