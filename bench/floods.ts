import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { createAuthority } from '../test/support/certificate-authority.js'
import type { AttackOrder } from './attacker.js'
import { type Attack, ATTACKS, type Suffered, type Target } from './attacks.js'
import { KnownCaller } from './known-caller.js'
import { MeasuredProcess } from './measured-process.js'

const KNOWN_RATE = 300
const SECONDS = Number(process.env['BENCH_FLOOD_SECONDS'] ?? 1)
/** Windows of each kind take turns, so that a machine that is busy with something else is busy in both. */
const WINDOWS = Number(process.env['BENCH_FLOOD_WINDOWS'] ?? 4)

type Quantiles = { readonly p50: number; readonly p99: number }

export type FloodFigures = {
  readonly attack: Attack
  readonly quiet: readonly Quantiles[]
  readonly beside: readonly Quantiles[]
  readonly suffered: readonly Suffered[]
  /** MiB before and after. */
  readonly rss: readonly [number, number]
  /** Of a core, alone and beside the attack. */
  readonly cpuShares: readonly [number, number]
}

/** The report: a table with a row for each attack. Rejects when a known caller goes without an answer. */
export async function measureFloods(): Promise<string> {
  const figures: FloodFigures[] = []
  for (const attack of ATTACKS) figures.push(await measureFlood(attack))
  return describe(figures)
}

/** A known caller on a connection of its own, in turns beside nothing and beside the attack. */
export async function measureFlood(
  attack: Attack,
  windows = WINDOWS,
  seconds = SECONDS,
): Promise<FloodFigures> {
  const { serverTls, clientTls } = certificates()
  const secure = attack.transport === 'TLS'
  const server = await MeasuredProcess.start('attacked-server.ts', secure ? [JSON.stringify(serverTls)] : [])
  const attacker = await startAttacker()
  const target = { port: Number(server.address.split(':').at(-1)), tls: secure ? clientTls : undefined }
  const known = new KnownCaller(target)
  try {
    await known.call(KNOWN_RATE, 2)
    const before = await server.usage()
    const quiet: Quantiles[] = []
    const beside: Quantiles[] = []
    const suffered: Suffered[] = []
    const cpuUs: [number, number] = [0, 0]
    for (let window = 0; window < windows; window++) {
      const { cpuUs: quietUs } = await server.usage()
      quiet.push(quantiles(await known.call(KNOWN_RATE, seconds)))
      const { cpuUs: fromUs } = await server.usage()
      const attacked = order(attacker, { name: attack.name, target, seconds })
      beside.push(quantiles(await known.call(KNOWN_RATE, seconds)))
      suffered.push(await attacked)
      cpuUs[0] += fromUs - quietUs
      cpuUs[1] += (await server.usage()).cpuUs - fromUs
    }
    const after = await server.usage()
    const share = (us: number): number => us / 1e6 / windows / seconds
    const rss = [before.rssBytes / 2 ** 20, after.rssBytes / 2 ** 20] as const
    return { attack, quiet, beside, suffered, rss, cpuShares: [share(cpuUs[0]), share(cpuUs[1])] }
  } finally {
    known.close()
    attacker.disconnect()
    await server.stop()
  }
}

function certificates(): {
  serverTls: { certificate: string; key: string; clientCa: string }
  clientTls: NonNullable<Target['tls']>
} {
  const authority = createAuthority({ name: 'mesh', trustDomain: 'cluster.local' })
  const server = authority.issueSvid({ spiffeId: 'spiffe://cluster.local/ns/portcullis/sa/portcullis' })
  const client = authority.issueSvid({ spiffeId: 'spiffe://cluster.local/ns/shop/sa/api' })
  return {
    serverTls: { certificate: server.chainPem, key: server.keyPem, clientCa: authority.rootPem },
    clientTls: { cert: client.chainPem, key: client.keyPem, ca: authority.rootPem },
  }
}

async function startAttacker(): Promise<ChildProcess> {
  const child = fork(fileURLToPath(new URL('attacker.ts', import.meta.url)), [], {
    execArgv: ['--import', fileURLToPath(new URL('../test/support/ts.js', import.meta.url))],
  })
  await answer(child)
  return child
}

async function order(attacker: ChildProcess, what: AttackOrder): Promise<Suffered> {
  const done = answer(attacker)
  attacker.send(what)
  return (await done) as Suffered
}

function answer(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null): void => reject(new Error(`the attacking process ended with ${code}`))
    child.once('exit', ended)
    child.once('message', (message) => {
      child.off('exit', ended)
      resolve(message)
    })
  })
}

function quantiles(sorted: Float64Array): Quantiles {
  const at = (quantile: number): number => sorted[Math.floor(sorted.length * quantile)] ?? Number.NaN
  return { p50: at(0.5), p99: at(0.99) }
}

function describe(figures: readonly FloodFigures[]): string {
  const rows = figures.map(({ attack, quiet, beside, suffered, rss, cpuShares }) => {
    const sum = (pick: (each: Suffered) => number): number =>
      suffered.reduce((total, each) => total + pick(each), 0)
    const errors = [...new Set(suffered.flatMap(({ goaways }) => Object.keys(goaways)))]
    return [
      `${attack.name}${attack.transport === 'TLS' ? ' (TLS)' : ''}`,
      median(quiet.map(({ p50 }) => p50)).toFixed(2),
      median(beside.map(({ p50 }) => p50)).toFixed(2),
      least(quiet.map(({ p99 }) => p99)).toFixed(2),
      least(beside.map(({ p99 }) => p99)).toFixed(2),
      median(quiet.map(({ p99 }) => p99)).toFixed(2),
      median(beside.map(({ p99 }) => p99)).toFixed(2),
      ...cpuShares.map((share) => (share * 100).toFixed(0)),
      `${rss[0].toFixed(0)} → ${rss[1].toFixed(0)}`,
      `${sum(({ closed }) => closed)} of ${sum(({ connections }) => connections)}`,
      errors.join(', '),
    ]
  })
  return [
    '## Known callers beside floods of connections and frames',
    '',
    `${KNOWN_RATE} calls a second over one connection that lives on, to the listener with the limits that ship, which ` +
      `decides nothing. Beside it nothing, and an attacker in another process, in turns of ${SECONDS} s, ${WINDOWS} of ` +
      'each. Latencies count from when a call was due. All share the cores: the quietest window says most of the ' +
      'server, the median window most of the machine. Every known call was answered. RSS is in MiB, before and after.',
    '',
    '| Attack | p50 ms alone | beside | p99 ms alone, quietest | beside | alone, median | beside | CPU % of a core, alone | beside | RSS | closed | GOAWAY |',
    '|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|',
    ...rows.map((cells) => `| ${cells.join(' | ')} |`),
    '',
  ].join('\n')
}

const least = (values: readonly number[]): number => Math.min(...values)

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
