import cluster from 'node:cluster';

import { createApp } from './app.js';
import { loadCatalogue } from './products.js';

const { HOST = '127.0.0.1', PORT = '3000', WORKERS = '1', DATA_DIR = '.' } = process.env;
const GRACE_MS = 3_000;

if (cluster.isPrimary && Number(WORKERS) > 1) {
  runWorkers(Number(WORKERS));
} else {
  await serve();
}

async function serve() {
  const app = createApp(await loadCatalogue(DATA_DIR));
  const server = app.listen(Number(PORT), HOST);

  // Idle connections must outlive those of the proxy in front (60 s in nginx and most cloud
  // load balancers), or the proxy sends requests into connections that are being closed.
  server.keepAliveTimeout = 65_000;

  process.on('SIGTERM', () => {
    server.close();
    // close() drops the connections that are idle now; those that are busy become idle later.
    setInterval(() => server.closeIdleConnections(), 100).unref();
    // A connection that never sent a request does not count as idle.
    setTimeout(() => server.closeAllConnections(), GRACE_MS).unref();
  });
  // The channel to the primary would keep a worker alive.
  server.on('close', () => cluster.worker?.disconnect());
}

function runWorkers(count) {
  let serving = false;
  let stopping = false;

  for (let i = 0; i < count; i++) cluster.fork();

  cluster.once('listening', () => {
    serving = true;
  });
  cluster.on('exit', (worker, code, signal) => {
    if (stopping) return;
    console.error(`worker ${worker.process.pid} ended with ${signal ?? code}`);
    // A worker that cannot start will not start the next time either.
    if (!serving) process.exit(1);
    cluster.fork();
  });
  process.on('SIGTERM', () => {
    stopping = true;
    for (const worker of Object.values(cluster.workers)) worker.kill('SIGTERM');
  });
}
