import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Writable } from 'node:stream'
import type * as Loader from '../src/config/load.js'
import type * as Main from '../src/main.js'
import { serveMeasurements } from './measured-process.js'
import { ADMIN_TOKEN, type AdminCall, SET_UP } from './scene-configurations.js'

/**
 * What ships, measured: `dist`, with the configuration named on the command line. Events go to standard output.
 * `--repeatable-tokens` takes a service token more than once, so that the cost of a remembered one can be told
 * apart from that of its one-time use. `--discard-events`: events for standard output are dropped.
 */
const [configurationFile = '', ...flags] = process.argv.slice(2)
const dist = new URL('../dist/', import.meta.url)
const { start } = (await import(new URL('main.js', dist).href)) as typeof Main
const { loadConfig } = (await import(new URL('config/load.js', dist).href)) as typeof Loader

// Several run beside each other, and a store is one process' alone.
const store = mkdtempSync(join(tmpdir(), 'portcullis-bench-store-'))
process.once('exit', () => rmSync(store, { recursive: true, force: true }))

const loaded = loadConfig({
  file: configurationFile,
  text: readFileSync(configurationFile, 'utf8'),
  env: {},
  flags: { 'store.directory': store },
})
if ('problems' in loaded) throw new Error(JSON.stringify(loaded.problems))
const running = await start(loaded.config, {
  events: flags.includes('--discard-events') ? discarding() : process.stdout,
  log: () => undefined,
  ...(flags.includes('--repeatable-tokens') ? { replayGuard: { claim: () => 'first' } } : {}),
})
if (running.admin !== undefined) await setUp(running.admin, dirname(configurationFile))
const [listener] = running.listeners
if (!listener) throw new Error('no listener')
serveMeasurements(listener.address, () => running.stop(), running.health)

function discarding(): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => done() })
}

/** Tells the admin API what the scene says. */
async function setUp(address: string, folder: string): Promise<void> {
  const token = readFileSync(join(folder, ADMIN_TOKEN), 'utf8')
  const calls = JSON.parse(readFileSync(join(folder, SET_UP), 'utf8')) as readonly AdminCall[]
  for (const { method, path, body } of calls) {
    const response = await fetch(`http://${address}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`)
  }
}
