/** The load of bench/workers.ts: some connections at once; prints what it saw as JSON. */
import { readFileSync } from 'node:fs'
import { keepBusy } from './load.js'
import { CheckConnection } from './raw-load.js'

export type WorkersLoad = {
  readonly allowed: number
  readonly wallMs: number
  /** Of the slowest connection. */
  readonly p99Ms: number
  /** Of this process while it sent, microseconds. */
  readonly cpuUs: number
}

const [address = '', file = '', ...numbers] = process.argv.slice(2)
const [calls = 0, connections = 0, inFlight = 0] = numbers.map(Number)
const message = readFileSync(file)
const opened = await Promise.all(Array.from({ length: connections }, () => CheckConnection.open(address)))
const before = process.cpuUsage()
const startedMs = performance.now()
const share = Math.floor(calls / connections)
const loads = await Promise.all(
  opened.map((connection, at) =>
    keepBusy(connection, at === 0 ? calls - share * (connections - 1) : share, inFlight, () => message),
  ),
)
const { user, system } = process.cpuUsage(before)
const result: WorkersLoad = {
  allowed: loads.reduce((sum, { allowed }) => sum + allowed, 0),
  wallMs: performance.now() - startedMs,
  p99Ms: Math.max(...loads.map(({ p99Ms }) => p99Ms)),
  cpuUs: user + system,
}
process.stdout.write(JSON.stringify(result))
