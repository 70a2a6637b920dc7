import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

export const orders = {
  price: (a, b) => a.final_cents - b.final_cents || a.id - b.id,
  rating: (a, b) => b.rating - a.rating || a.id - b.id,
  name: (a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.id - b.id),
};

export async function loadCatalogue(dataDir) {
  const products = JSON.parse(await readFile(join(dataDir, 'products.json'), 'utf8'));
  return products.map(toEntry);
}

export function toEntry(product) {
  const { price_cents, discount_percent } = product;
  const final_cents = Math.floor((price_cents * (100 - discount_percent)) / 100);
  return { item: { ...product, final_cents }, lowerName: product.name.toLowerCase() };
}

export function search(catalogue, query) {
  const { category, min_price = 0, max_price = Infinity, q, sort, limit } = query;
  const needle = q?.toLowerCase();
  const matches = [];
  const totals = { matched: 0, shown: 0, final_cents: 0, saved_cents: 0, in_stock: 0 };

  for (const { item, lowerName } of catalogue) {
    if (category !== undefined && item.category !== category) continue;
    if (item.final_cents < min_price || item.final_cents > max_price) continue;
    if (needle !== undefined && !lowerName.includes(needle)) continue;

    matches.push(item);
    totals.final_cents += item.final_cents;
    totals.saved_cents += item.price_cents - item.final_cents;
    if (item.stock > 0) totals.in_stock += 1;
  }

  const items = matches.sort(orders[sort]).slice(0, limit);
  totals.matched = matches.length;
  totals.shown = items.length;
  return { items, totals };
}
