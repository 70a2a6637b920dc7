import { STATUS_CODES } from 'node:http';

import express from 'express';

import { search } from './products.js';
import { productsQuery } from './query.js';

// RFC 9457
function sendProblem(res, status, extension) {
  res
    .status(status)
    .type('application/problem+json')
    .json({ status, title: STATUS_CODES[status], ...extension });
}

export function createApp(catalogue) {
  const app = express();
  app.disable('x-powered-by');

  app.get('/healthz', (req, res) => {
    res.type('text/plain').send('ok');
  });

  app.get('/products', (req, res) => {
    const query = productsQuery.safeParse(req.query);
    if (!query.success) {
      const errors = query.error.issues.map(({ path: [parameter], message }) => ({
        parameter,
        detail: message,
      }));
      return sendProblem(res, 400, { errors });
    }
    res.json(search(catalogue, query.data));
  });

  app.use((req, res) => sendProblem(res, 404));

  return app;
}
