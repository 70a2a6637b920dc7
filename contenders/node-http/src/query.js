import { orders } from './products.js';

const INTEGER = /^-?[0-9]+$/;
const MAX_PRICE = 10_000_000;
const MAX_TEXT = 40;

/** Reads the query string of /products: the values, and one error for each bad parameter. */
export function parseQuery(params) {
  const errors = [];
  const reject = (parameter, detail) => {
    errors.push({ parameter, detail });
    return undefined;
  };

  const text = (name) => {
    const value = params.get(name);
    if (value === null) return undefined;
    // Spreading a string counts code points; .length would count UTF-16 units.
    const length = [...value].length;
    if (length >= 1 && length <= MAX_TEXT) return value;
    return reject(name, `must have 1 to ${MAX_TEXT} characters`);
  };

  const integer = (name, min, max, fallback) => {
    const raw = params.get(name);
    if (raw === null) return fallback;
    if (!INTEGER.test(raw)) return reject(name, 'must be an integer');
    const value = Number(raw);
    if (value >= min && value <= max) return value;
    return reject(name, `must be between ${min} and ${max}`);
  };

  const oneOf = (name, allowed, fallback) => {
    const value = params.get(name);
    if (value === null) return fallback;
    if (allowed.includes(value)) return value;
    return reject(name, `must be one of ${allowed.join(', ')}`);
  };

  const query = {
    category: text('category'),
    minPrice: integer('min_price', 0, MAX_PRICE),
    maxPrice: integer('max_price', 0, MAX_PRICE),
    q: text('q'),
    sort: oneOf('sort', Object.keys(orders), 'name'),
    limit: integer('limit', 1, 50, 20),
  };
  // False when either is absent or was rejected above.
  if (query.minPrice > query.maxPrice) reject('min_price', 'must not be greater than max_price');

  return { query, errors };
}
