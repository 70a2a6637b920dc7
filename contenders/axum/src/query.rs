use std::ops::RangeInclusive;

use axum::{
    extract::{FromRequestParts, Query},
    http::request::Parts,
};
use serde::Deserialize;

use crate::problem::{BadParameter, Problem};

const PRICES: RangeInclusive<i64> = 0..=10_000_000;
const LIMITS: RangeInclusive<i64> = 1..=50;
const DEFAULT_LIMIT: i64 = 20;
const TEXT_LENGTHS: RangeInclusive<usize> = 1..=40;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Sort {
    Price,
    Rating,
    #[default]
    Name,
}

/// The parameters of `GET /products`, all of them valid.
#[derive(Debug)]
pub struct ProductQuery {
    pub category: Option<String>,
    pub min_price: Option<i64>,
    pub max_price: Option<i64>,
    pub q: Option<String>,
    pub sort: Sort,
    pub limit: usize,
}

/// The parameters as sent. Typed fields would end at the first bad one, and the answer must name them all.
#[derive(Deserialize)]
struct RawQuery {
    category: Option<String>,
    min_price: Option<String>,
    max_price: Option<String>,
    q: Option<String>,
    sort: Option<String>,
    limit: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for ProductQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(raw) = Query::<RawQuery>::from_request_parts(parts, state).await?;
        raw.try_into()
    }
}

impl TryFrom<RawQuery> for ProductQuery {
    type Error = Problem;

    fn try_from(raw: RawQuery) -> Result<Self, Problem> {
        let mut errors = Errors::default();

        let category = errors.parse("category", raw.category, text);
        let min_price = errors.parse("min_price", raw.min_price, |s| integer(s, PRICES));
        let max_price = errors.parse("max_price", raw.max_price, |s| integer(s, PRICES));
        let q = errors.parse("q", raw.q, text);
        let sort = errors.parse("sort", raw.sort, sort);
        let limit = errors.parse("limit", raw.limit, |s| integer(s, LIMITS));
        if let (Some(min), Some(max)) = (min_price, max_price) {
            if min > max {
                errors.push("min_price", "must not be above max_price".to_owned());
            }
        }

        if !errors.0.is_empty() {
            return Err(errors.0.into());
        }
        Ok(Self {
            category,
            min_price,
            max_price,
            q,
            sort: sort.unwrap_or_default(),
            limit: limit.unwrap_or(DEFAULT_LIMIT) as usize,
        })
    }
}

#[derive(Default)]
struct Errors(Vec<BadParameter>);

impl Errors {
    fn push(&mut self, parameter: &'static str, detail: String) {
        self.0.push(BadParameter { parameter, detail });
    }

    fn parse<T>(
        &mut self,
        parameter: &'static str,
        value: Option<String>,
        parse: impl FnOnce(String) -> Result<T, String>,
    ) -> Option<T> {
        parse(value?)
            .map_err(|detail| self.push(parameter, detail))
            .ok()
    }
}

fn text(value: String) -> Result<String, String> {
    if TEXT_LENGTHS.contains(&value.chars().count()) {
        Ok(value)
    } else {
        let (min, max) = TEXT_LENGTHS.into_inner();
        Err(format!("must be {min} to {max} characters long"))
    }
}

fn integer(value: String, range: RangeInclusive<i64>) -> Result<i64, String> {
    value
        .parse()
        .ok()
        // Rust's parser takes a plus sign, the contract does not.
        .filter(|number| range.contains(number) && !value.starts_with('+'))
        .ok_or_else(|| {
            format!(
                "must be an integer from {} to {}",
                range.start(),
                range.end()
            )
        })
}

fn sort(value: String) -> Result<Sort, String> {
    match value.as_str() {
        "price" => Ok(Sort::Price),
        "rating" => Ok(Sort::Rating),
        "name" => Ok(Sort::Name),
        _ => Err("must be price, rating or name".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<ProductQuery, Problem> {
        let uri = format!("/products?{query}").parse().unwrap();
        let Query(raw) = Query::<RawQuery>::try_from_uri(&uri).unwrap();
        raw.try_into()
    }

    fn bad_parameters(query: &str) -> Vec<&'static str> {
        let problem = parse(query).unwrap_err();
        problem.errors.iter().map(|e| e.parameter).collect()
    }

    #[test]
    fn defaults() {
        let query = parse("").unwrap();
        assert_eq!((query.sort, query.limit), (Sort::Name, 20));
    }

    #[test]
    fn integers() {
        assert_eq!(parse("limit=007").unwrap().limit, 7);
        assert_eq!(parse("min_price=-0").unwrap().min_price, Some(0));
        for bad in [
            "",
            "0",
            "-5",
            "%2B5",
            "+5",
            "1.0",
            "1e1",
            "5abc",
            "1_0",
            "9".repeat(30).as_str(),
        ] {
            assert_eq!(bad_parameters(&format!("limit={bad}")), ["limit"], "{bad}");
        }
    }

    #[test]
    fn lengths_count_characters() {
        let emoji = "%F0%9F%98%80";
        assert!(parse(&format!("q={}", emoji.repeat(40))).is_ok());
        assert_eq!(bad_parameters(&format!("q={}", emoji.repeat(41))), ["q"]);
    }

    #[test]
    fn every_bad_parameter_is_named_once() {
        assert_eq!(
            bad_parameters("category=&min_price=x&max_price=-1&q=&sort=id&limit=51"),
            ["category", "min_price", "max_price", "q", "sort", "limit"]
        );
        assert_eq!(bad_parameters("min_price=2&max_price=1"), ["min_price"]);
    }
}
