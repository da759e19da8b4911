/**
 * `serve DIRECTORY`: serves an embedded store there, and prints its path.
 * `commit PATH KEY`: marks the record over that socket, prints what came of it, and stays.
 */
import { openEmbeddedStore } from '../../src/adapters/embedded-store/store.js'
import { serveLocalStore } from '../../src/adapters/local-store/server.js'
import { openLocalStore } from '../../src/adapters/local-store/store.js'

const [what, where = '', key = ''] = process.argv.slice(2)
const warn = (message: string): void => void process.stderr.write(`${message}\n`)
if (what === 'serve') {
  const store = await openEmbeddedStore({ directory: where, startedAtMs: Date.now(), now: Date.now, warn })
  const { path } = await serveLocalStore(store, { directory: where, now: Date.now, warn })
  process.stdout.write(`${path}\n`)
} else {
  const store = await openLocalStore({ path: where, onUnavailable: { mode: 'Deny' }, now: Date.now, warn })
  const expiresAtMs = Date.now() + 3_600_000
  process.stdout.write(`${await store.commit([{ key, ops: [['max', 'x', 1]], expiresAtMs }])}\n`)
}
process.stdin.resume()
process.stdin.on('end', () => process.exit())
