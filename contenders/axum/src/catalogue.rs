use std::{fs, path::Path};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::query::{ProductQuery, Sort};

#[derive(Deserialize, Serialize)]
struct Product {
    id: u32,
    name: String,
    category: String,
    price_cents: i64,
    discount_percent: i64,
    #[serde(skip_deserializing)]
    final_cents: i64,
    rating: f64,
    stock: u32,
    tags: Vec<String>,
    #[serde(skip)]
    lower_name: String,
}

#[derive(Serialize)]
pub struct Answer<'a> {
    items: Vec<&'a Product>,
    totals: Totals,
}

#[derive(Default, Serialize)]
struct Totals {
    matched: usize,
    shown: usize,
    final_cents: i64,
    saved_cents: i64,
    in_stock: usize,
}

pub struct Catalogue {
    products: Vec<Product>,
}

impl Catalogue {
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut products: Vec<Product> = serde_json::from_slice(&text)
            .with_context(|| format!("cannot parse {}", path.display()))?;
        for product in &mut products {
            product.final_cents = product.price_cents * (100 - product.discount_percent) / 100;
            product.lower_name = product.name.to_lowercase();
        }
        Ok(Self { products })
    }

    pub fn search(&self, query: &ProductQuery) -> Answer<'_> {
        let category = query.category.as_deref();
        let needle = query.q.as_deref().map(str::to_lowercase);

        let mut items: Vec<&Product> = self
            .products
            .iter()
            .filter(|p| category.is_none_or(|category| p.category == category))
            .filter(|p| query.min_price.is_none_or(|min| min <= p.final_cents))
            .filter(|p| query.max_price.is_none_or(|max| p.final_cents <= max))
            .filter(|p| needle.as_deref().is_none_or(|q| p.lower_name.contains(q)))
            .collect();

        let mut totals = Totals {
            matched: items.len(),
            ..Totals::default()
        };
        for product in &items {
            totals.final_cents += product.final_cents;
            totals.saved_cents += product.price_cents - product.final_cents;
            totals.in_stock += usize::from(product.stock > 0);
        }

        // The unique id makes each order total, so an unstable sort is enough.
        match query.sort {
            Sort::Price => items.sort_unstable_by_key(|p| (p.final_cents, p.id)),
            Sort::Rating => {
                items.sort_unstable_by(|a, b| b.rating.total_cmp(&a.rating).then(a.id.cmp(&b.id)))
            }
            Sort::Name => items.sort_unstable_by(|a, b| a.name.cmp(&b.name).then(a.id.cmp(&b.id))),
        }
        items.truncate(query.limit);
        totals.shown = items.len();

        Answer { items, totals }
    }
}
