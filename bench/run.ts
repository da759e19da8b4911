import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { measureFlood } from './flood.js'
import { type LoadResult, sendLoad } from './load.js'
import { MeasuredProcess } from './measured-process.js'
import { prepareScene, type Scene } from './scene.js'

/** One row of the table: a server, and how the request of each call is made. */
type Row = {
  readonly name: string
  readonly server:
    'floor' | 'listener' | 'portcullis' | 'portcullis, tokens repeatable' | 'whole' | 'discarding' | 'audited'
  /** Made before the clock starts. */
  readonly messages: (count: number) => Promise<readonly Buffer[]>
  readonly calls: number
}

type Measured = { readonly cpuUs: number; readonly load: LoadResult; readonly rssBytes: number }

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5)
const IN_FLIGHT = 32

const folder = await mkdtemp(join(tmpdir(), 'portcullis-bench-'))
const servers: MeasuredProcess[] = []
try {
  const scene = await prepareScene(folder)
  const configuration = join(folder, 'portcullis.yaml')
  const floor = await launch('noop-server.ts', [])
  const startedMs = performance.now()
  const real = await launch('portcullis-server.ts', [configuration])
  const startMs = performance.now() - startedMs
  const repeatable = await launch('portcullis-server.ts', [configuration, '--repeatable-tokens'])
  const listener = await launch('listener-server.ts', [])
  const whole = await launch('portcullis-server.ts', [join(folder, 'portcullis-whole.yaml')])
  const discarding = await launch('portcullis-server.ts', [configuration, '--discard-events'])
  const audited = await launch('portcullis-server.ts', [join(folder, 'portcullis-audited.yaml')])
  const byName = {
    floor,
    listener,
    portcullis: real,
    'portcullis, tokens repeatable': repeatable,
    whole,
    discarding,
    audited,
  }
  const rows = rowsOf(scene)

  const results = new Map<Row, Measured[]>(rows.map((row) => [row, []]))
  for (let round = 0; round <= ROUNDS; round++) {
    process.stderr.write(`\rround ${round} of ${ROUNDS}`)
    for (const row of rows) {
      const measured = await measure(row, byName[row.server])
      // The first round warms the compilers up.
      if (round > 0) results.get(row)?.push(measured)
    }
  }
  process.stderr.write('\n')
  const report = `${describe(rows, results, scene, startMs)}\n${await measureFlood(scene, configuration)}`
  process.stdout.write(report)
  await writeFile(new URL('RESULTS.md', import.meta.url), report)
} finally {
  for (const server of servers) await server.stop()
  await rm(folder, { recursive: true, force: true })
}

async function launch(script: string, args: readonly string[]): Promise<MeasuredProcess> {
  const server = await MeasuredProcess.start(script, args)
  servers.push(server)
  return server
}

function rowsOf(scene: Scene): Row[] {
  const same = (message: Buffer) => (count: number) =>
    Promise.resolve(Array.from({ length: count }, () => message))
  return [
    {
      name: 'no-op on @grpc/grpc-js, raw bytes (floor)',
      server: 'floor',
      messages: same(scene.known),
      calls: 8000,
    },
    {
      name: 'no-op on the listener that ships (node:http2)',
      server: 'listener',
      messages: same(scene.known),
      calls: 8000,
    },
    {
      name: 'full decision: certificate, service token, user token seen before',
      server: 'portcullis, tokens repeatable',
      messages: same(scene.known),
      calls: 8000,
    },
    {
      name: 'full decision: certificate and user token seen before, no service token',
      server: 'portcullis',
      messages: same(scene.withoutServiceToken),
      calls: 8000,
    },
    {
      name: 'the same, with an inventory of devices, signals received, classified data by a grant',
      server: 'whole',
      messages: same(scene.withoutServiceToken),
      calls: 8000,
    },
    {
      name: 'certificate and user token seen before, no service token, events discarded',
      server: 'discarding',
      messages: same(scene.withoutServiceToken),
      calls: 8000,
    },
    {
      name: 'the same, events in an audit log on disk: hash chain, signed checkpoints',
      server: 'audited',
      messages: same(scene.withoutServiceToken),
      calls: 8000,
    },
    {
      name: 'a service token of its own for each call (ES256), as in production',
      server: 'portcullis',
      messages: scene.freshServiceTokens,
      calls: 2000,
    },
    {
      name: 'never-seen user token (RS256)',
      server: 'portcullis',
      messages: scene.freshUserTokens,
      calls: 2000,
    },
    {
      name: 'never-seen certificate (EC P-256, one intermediate)',
      server: 'portcullis',
      messages: scene.freshCertificates,
      calls: 500,
    },
  ]
}

async function measure(row: Row, server: MeasuredProcess): Promise<Measured> {
  const messages = await row.messages(row.calls)
  const before = await server.usage()
  const load = await sendLoad(
    server.address,
    row.calls,
    IN_FLIGHT,
    (index) => messages[index] ?? Buffer.alloc(0),
  )
  const after = await server.usage()
  if (load.allowed !== row.calls)
    throw new Error(`${row.name}: ${row.calls - load.allowed} calls were not allowed`)
  return { cpuUs: (after.cpuUs - before.cpuUs) / row.calls, load, rssBytes: after.rssBytes }
}

function describe(
  rows: readonly Row[],
  results: ReadonlyMap<Row, readonly Measured[]>,
  scene: Scene,
  startMs: number,
): string {
  const of = (row: Row, pick: (measured: Measured) => number): number =>
    median((results.get(row) ?? []).map(pick))
  const [floorRow] = rows
  const floorUs = floorRow ? of(floorRow, ({ cpuUs }) => cpuUs) : Number.NaN
  const lines = rows.map((row) => {
    const cpuUs = of(row, (measured) => measured.cpuUs)
    return [
      row.name,
      cpuUs.toFixed(1),
      (cpuUs / floorUs).toFixed(2),
      of(row, ({ load }) => load.p50Ms).toFixed(2),
      of(row, ({ load }) => load.p99Ms).toFixed(2),
      (of(row, ({ rssBytes }) => rssBytes) / 2 ** 20).toFixed(0),
    ]
  })
  return [
    '# Cost of a Check',
    '',
    `Measured by \`make bench\`: node ${process.version}, ${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), ` +
      `medians of ${ROUNDS} rounds with all rows in turn, ${IN_FLIGHT} calls in flight over one plaintext connection, ` +
      `request of ${scene.known.length} bytes, policy of ${scene.services} services and ${scene.edges} edges, ` +
      'a security event written to a pipe for every decision. The machine is shared: compare within this table.',
    '',
    '| | CPU µs per Check | ratio to floor | p50 ms | p99 ms | RSS MiB |',
    '|---|---:|---:|---:|---:|---:|',
    ...lines.map((cells) => `| ${cells.join(' | ')} |`),
    '',
    `From start to answering, policy included: ${(startMs / 1000).toFixed(1)} s.`,
    '',
  ].join('\n')
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
