import { mkdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Processes } from '../demo/processes.js'
import { askingFilter, cpuUsOf, type EnvoyMesh, rbacFilters, startEnvoys } from './envoy-mesh.js'
import { startGoNoop } from './go-noop.js'
import { keepBusy, quantile } from './load.js'
import { MeasuredProcess, type MeasuredServer } from './measured-process.js'
import { lines, machineLine, median, FEW_ROUNDS, roundsText, spread, table } from './report.js'
import { prepareScene, type Scene } from './scene.js'
import { keepPace } from './steady-load.js'

const IN_FLIGHT = 32
const CALLS = 3000
/** A second, and calls at that rate. */
const RATE = Number(process.env['BENCH_ENVOY_RATE'] ?? 500)
const PACED = 1000
const NOTHING = Buffer.alloc(0)

type Row = {
  readonly name: string
  readonly listener: string
  readonly userToken: string | undefined
  readonly asked: MeasuredServer | undefined
  readonly busy: Window[]
  readonly paced: Window[]
}
/** CPU in microseconds per call. */
type Window = {
  readonly envoyUs: number
  readonly askedUs: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** The same calls through one Envoy: nothing decided, decided by itself, and asking Portcullis. */
export async function measureEnvoy(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'portcullis-bench-'))
  mkdirSync(join(folder, 'logs'))
  const processes = new Processes(join(folder, 'logs'))
  const servers: MeasuredServer[] = []
  try {
    const scene = await prepareScene(folder)
    const portcullis = await MeasuredProcess.start('portcullis-server.ts', [
      join(folder, 'portcullis-audited.yaml'),
    ])
    const floor = await MeasuredProcess.start('noop-server.ts', [])
    const go = await startGoNoop(folder)
    servers.push(portcullis, floor, ...('server' in go ? [go.server] : []))
    const row = (name: string, listener: string, asked?: MeasuredServer, userToken?: string): Row => ({
      name,
      listener,
      userToken,
      asked,
      busy: [],
      paced: [],
    })
    const rows = [
      row('no filter', 'open'),
      row("Envoy's own RBAC filter, equal policy", 'rbac'),
      row('Portcullis: certificate', 'portcullis', portcullis),
      row('Portcullis: certificate and user token', 'portcullis', portcullis, scene.userToken),
      row('asking a no-op on @grpc/grpc-js', 'floor', floor),
      ...('server' in go ? [row('asking a no-op on grpc-go', 'go', go.server)] : []),
    ]
    const asked = new Map([
      ['portcullis', portcullis.address],
      ['floor', floor.address],
      ...('server' in go ? ([['go', go.server.address]] as const) : []),
    ])
    const filters = new Map<string, readonly unknown[]>([
      ['open', []],
      ['rbac', rbacFilters(join(folder, 'policy'), scene.target)],
      ...[...asked.keys()].map((name) => [name, [askingFilter(name)]] as const),
    ])
    const mesh = await startEnvoys(processes, folder, scene, filters, asked)
    for (let round = 0; round <= FEW_ROUNDS; round++) {
      for (const each of round % 2 === 0 ? rows : rows.toReversed()) {
        const busy = await measure(mesh, each, CALLS, async (connection) =>
          keepBusy(connection, CALLS, IN_FLIGHT, () => NOTHING),
        )
        const paced = await measure(mesh, each, PACED, async (connection) => {
          const { latenciesMs, allowed } = await keepPace([connection], [NOTHING], PACED, RATE)
          latenciesMs.sort()
          return { allowed, p50Ms: quantile(latenciesMs, 0.5), p99Ms: quantile(latenciesMs, 0.99) }
        })
        if (round === 0) continue
        each.busy.push(busy)
        each.paced.push(paced)
      }
    }
    return describe(rows, scene, portcullis.node, 'missing' in go ? go.missing : undefined)
  } finally {
    await processes.stop()
    for (const server of servers) await server.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function measure(
  { envoy, connect }: EnvoyMesh,
  { name, listener, asked, userToken }: Row,
  calls: number,
  send: (
    connection: Awaited<ReturnType<EnvoyMesh['connect']>>,
  ) => Promise<{ readonly allowed: number; readonly p50Ms: number; readonly p99Ms: number }>,
): Promise<Window> {
  await keepBusy(await connect(listener, userToken), IN_FLIGHT * 8, IN_FLIGHT, () => NOTHING)
  const connection = await connect(listener, userToken)
  const [envoyBefore, before] = [cpuUsOf(envoy.pid), await asked?.usage()]
  const { allowed, p50Ms, p99Ms } = await send(connection)
  const [envoyAfter, after] = [cpuUsOf(envoy.pid), await asked?.usage()]
  if (allowed !== calls) throw new Error(`${name}: ${calls - allowed} of ${calls} calls were not allowed`)
  return {
    envoyUs: (envoyAfter - envoyBefore) / calls,
    askedUs: before && after ? (after.cpuUs - before.cpuUs) / calls : 0,
    p50Ms,
    p99Ms,
  }
}

function describe(rows: readonly Row[], scene: Scene, node: string, missing: string | undefined): string {
  const of = (windows: readonly Window[]): string[] => [
    spread(
      windows.map(({ envoyUs }) => envoyUs),
      0,
    ),
    windows.some(({ askedUs }) => askedUs > 0)
      ? spread(
          windows.map(({ askedUs }) => askedUs),
          0,
        )
      : '',
    median(windows.map(({ p50Ms }) => p50Ms)).toFixed(2),
    spread(
      windows.map(({ p99Ms }) => p99Ms),
      2,
    ),
  ]
  const head = ['', 'CPU of Envoy, µs', 'of the server asked, µs', 'p50 ms', 'p99 ms']
  return lines(
    '## Through a real Envoy',
    `${machineLine(roundsText(FEW_ROUNDS), node)} One Envoy with one worker in front of an application that answers at once ` +
      '(an Envoy, too), and a client with one connection, mutual TLS 1.3 and HTTP/2, to a listener for each row; ' +
      `policy of ${scene.services} services and ${scene.edges} edges, events in an audit log on disk. CPU per call, ` +
      'medians, least and greatest of all rounds, rows in turn. All of it shares the cores.' +
      (missing === undefined ? '' : ` No grpc-go here: ${missing}.`),
    `At ${RATE} calls a second; latencies from when a call was due, by a clock that ticks once a millisecond:`,
    table(
      head,
      rows.map(({ name, paced }) => [name, ...of(paced)]),
    ),
    `With ${IN_FLIGHT} calls in flight:`,
    table(
      head,
      rows.map(({ name, busy }) => [name, ...of(busy)]),
    ),
  )
}
