// Makes bin/node a link to the Node.js release that package-lock.json pins, so that the server
// is started by that binary itself, with no wrapper process in between.
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const link = fileURLToPath(new URL('../bin/node', import.meta.url));

function findNode() {
  try {
    const pinned = createRequire(import.meta.url).resolve(
      `node-${process.platform}-${process.arch}/bin/node`,
    );
    // Installed is not yet runnable: npm cannot tell glibc from musl here.
    execFileSync(pinned, ['--version'], { stdio: 'ignore' });
    return relative(dirname(link), pinned);
  } catch {
    console.warn(`No pinned Node.js runs here, using ${process.version} of this machine`);
    return process.execPath;
  }
}

mkdirSync(dirname(link), { recursive: true });
rmSync(link, { force: true });
symlinkSync(findNode(), link);
