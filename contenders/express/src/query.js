import * as z from 'zod';

import { orders } from './products.js';

// Not z.coerce.number(), which takes "", " 5" and "1e3" for integers.
function integer(min, max) {
  return z
    .string()
    .regex(z.regexes.integer, 'must be an integer')
    .transform(Number)
    .pipe(z.number().min(min).max(max));
}

const price = integer(0, 10_000_000).optional();

// The u flag makes the dot match code points; z.string().max() would count UTF-16 units.
const text = z.string().regex(/^.{1,40}$/su, 'must have 1 to 40 characters');

export const productsQuery = z
  .object({
    category: text.optional(),
    min_price: price,
    max_price: price,
    q: text.optional(),
    sort: z.enum(Object.keys(orders)).default('name'),
    limit: integer(1, 50).default(20),
  })
  .refine(({ min_price, max_price }) => !(min_price > max_price), {
    path: ['min_price'],
    error: 'must not be greater than max_price',
    // The default is to skip the check as soon as any parameter is bad, also an unrelated one.
    when: ({ issues }) => !issues.some(({ path: [name] }) => /^(min|max)_price$/.test(name)),
  });
