import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';

import { createApp } from '../src/app.js';
import { toEntry } from '../src/products.js';

const lamp = { id: 1, name: 'Ωmega Lamp', category: 'lighting', price_cents: 999, discount_percent: 15, rating: 4.3, stock: 2, tags: [] };
const desk = { id: 2, name: 'Desk', category: 'office', price_cents: 100, discount_percent: 0, rating: 4.9, stock: 0, tags: ['new'] };

let server;
before(async () => {
  server = createServer(createApp([lamp, desk].map(toEntry))).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
after(() => server.close());

const get = (path) => fetch(`http://127.0.0.1:${server.address().port}${path}`);

test('filters, sorts and sums', async () => {
  const answer = await (await get('/products?sort=rating&limit=1')).json();
  assert.deepEqual(answer.items, [{ ...desk, final_cents: 100 }]);
  assert.deepEqual(answer.totals, { matched: 2, shown: 1, final_cents: 949, saved_cents: 150, in_stock: 1 });
  assert.equal((await (await get('/products?q=%CF%89MEGA')).json()).items[0].final_cents, 849);
});

test('names every bad parameter once', async () => {
  const res = await get('/products?limit=1.0&sort=id&min_price=5&max_price=4&q=');
  assert.equal(res.status, 400);
  assert.match(res.headers.get('content-type'), /^application\/problem\+json/);
  const { errors } = await res.json();
  assert.deepEqual(errors.map(({ parameter }) => parameter).sort(), ['limit', 'min_price', 'q', 'sort']);
});

test('answers 404 elsewhere', async () => {
  assert.equal((await get('/elsewhere')).status, 404);
});
