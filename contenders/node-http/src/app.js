import { STATUS_CODES } from 'node:http';

import { search } from './products.js';
import { parseQuery } from './query.js';

function send(res, status, type, body, headers) {
  const length = Buffer.byteLength(body);
  res.writeHead(status, { 'Content-Type': type, 'Content-Length': length, ...headers });
  res.end(body);
}

const sendJson = (res, value) => send(res, 200, 'application/json', JSON.stringify(value));

// RFC 9457
function sendProblem(res, status, extension, headers) {
  const problem = { status, title: STATUS_CODES[status], ...extension };
  send(res, status, 'application/problem+json', JSON.stringify(problem), headers);
}

export function createApp(catalogue) {
  const routes = new Map([
    ['/healthz', (res) => send(res, 200, 'text/plain', 'ok')],
    [
      '/products',
      (res, params) => {
        const { query, errors } = parseQuery(params);
        if (errors.length > 0) return sendProblem(res, 400, { errors });
        sendJson(res, search(catalogue, query));
      },
    ],
  ]);

  return (req, res) => {
    // Split by hand: new URL() would throw on some targets that HTTP allows, such as "*".
    const mark = req.url.indexOf('?');
    const path = mark === -1 ? req.url : req.url.slice(0, mark);
    const handler = routes.get(path);

    if (!handler) return sendProblem(res, 404);
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      return sendProblem(res, 405, {}, { Allow: 'GET, HEAD' });
    }
    handler(res, new URLSearchParams(mark === -1 ? '' : req.url.slice(mark)));
  };
}
