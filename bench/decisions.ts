import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startGoNoop } from './go-noop.js'
import { sendLoad } from './load.js'
import { measureLoad, warmUp } from './measured-load.js'
import { MeasuredProcess, type MeasuredServer } from './measured-process.js'
import { lines, machineLine, median, ROUNDS, roundsText, spread, table } from './report.js'
import { prepareScene, type Scene } from './scene.js'
import { sendSteadily } from './steady-load.js'

/** One row of the table: a server, and how the request of each call is made. */
type Row = {
  readonly name: string
  /** Why there is none instead. */
  readonly server: MeasuredServer | string
  /** Made before the clock starts. */
  readonly messages: (count: number) => Promise<readonly Buffer[]>
  /** Calls of a round with many in flight. */
  readonly calls: number
  /** Whether a call can be repeated, so that there are enough for the other load. */
  readonly repeats: boolean
}

/** CPU microseconds per call of a round; `alone` undefined where that was not measured. */
type Round = { readonly many: number; readonly alone: number | undefined; readonly rssBytes: number }

const IN_FLIGHT = 32
/** A second. */
const ALONE_RATE = 2000
const ALONE_CALLS = 1500
/** Before each measurement: what an idle process left undone (collecting garbage above all) is done by then. */
const WARMING = 2000

/** What a Check costs, beside servers that decide nothing. */
export async function measureDecisions(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'portcullis-bench-'))
  const servers: MeasuredServer[] = []
  const started = <T extends MeasuredServer>(server: T): T => {
    servers.push(server)
    return server
  }
  try {
    const scene = await prepareScene(folder)
    const portcullis = async (file: string, ...flags: string[]): Promise<MeasuredProcess> =>
      started(await MeasuredProcess.start('portcullis-server.ts', [join(folder, file), ...flags]))
    const go = await startGoNoop(folder)
    if ('server' in go) started(go.server)
    const floor = started(await MeasuredProcess.start('noop-server.ts', []))
    const listener = started(await MeasuredProcess.start('listener-server.ts', []))
    const startedMs = performance.now()
    const full = await portcullis('portcullis-audited.yaml', '--repeatable-tokens')
    const startMs = performance.now() - startedMs
    const plain = await portcullis('portcullis.yaml', '--repeatable-tokens')
    const real = await portcullis('portcullis.yaml')
    const discarding = await portcullis('portcullis.yaml', '--discard-events')
    const whole = await portcullis('portcullis-whole.yaml')

    const repeated = (name: string, server: Row['server'], message: Buffer): Row => ({
      name,
      server,
      messages: (count) => Promise.resolve(Array.from({ length: count }, () => message)),
      calls: 8000,
      repeats: true,
    })
    const fresh = (name: string, messages: Row['messages'], calls: number): Row => ({
      name,
      server: real,
      messages,
      calls,
      repeats: false,
    })
    const { known, withoutServiceToken } = scene
    const rows: readonly [Row, Row, Row, Row, ...Row[]] = [
      repeated('no-op on @grpc/grpc-js, raw bytes (floor)', floor, known),
      repeated('no-op on grpc-go, raw bytes', 'server' in go ? go.server : go.missing, known),
      repeated('no-op on the listener that ships (node:http2)', listener, known),
      repeated(
        '**full decision**: certificate, service token and user token seen before, live risk, audit log on disk',
        full,
        known,
      ),
      repeated('the same, events into a pipe instead', plain, known),
      repeated('without service token, events into a pipe', real, withoutServiceToken),
      repeated('without service token, events discarded', discarding, withoutServiceToken),
      repeated('without service token, audit log on disk', full, withoutServiceToken),
      repeated(
        'with an inventory of devices, signals received, classified data by a grant; no service token',
        whole,
        withoutServiceToken,
      ),
      fresh(
        'a service token of its own for each call (ES256), as in production',
        scene.freshServiceTokens,
        1000,
      ),
      fresh('never-seen user token (RS256)', scene.freshUserTokens, 1000),
      fresh('never-seen certificate (EC P-256, one intermediate)', scene.freshCertificates, 300),
    ]

    const results = new Map<Row, Round[]>(rows.map((row) => [row, []]))
    for (const server of servers) await warmUp(server, withoutServiceToken)
    for (let round = 0; round <= ROUNDS; round++) {
      // Each row has its neighbours before it as often as after it.
      for (const row of round % 2 === 0 ? rows : rows.toReversed()) {
        if (typeof row.server === 'string') continue
        const measured = await measure(row, row.server, scene)
        // In the first round the compilers get what they have not seen yet.
        if (round > 0) results.get(row)?.push(measured)
      }
    }
    return describe(rows, results, scene, startMs, 'server' in go ? go.version : undefined)
  } finally {
    for (const server of servers) await server.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function measure(row: Row, server: MeasuredServer, scene: Scene): Promise<Round> {
  const messages = await row.messages(row.calls)
  const next = (index: number): Buffer => messages[index % messages.length] ?? Buffer.alloc(0)
  const warming = row.repeats ? next : () => scene.withoutServiceToken
  await sendLoad(server.address, WARMING, IN_FLIGHT, warming)
  try {
    const many = await measureLoad(server, row.calls, (address) =>
      sendLoad(address, row.calls, IN_FLIGHT, next),
    )
    const alone = row.repeats
      ? await measureLoad(server, ALONE_CALLS, (address) =>
          sendSteadily(address, messages, ALONE_CALLS, ALONE_RATE),
        )
      : undefined
    return { many: many.cpuUs, alone: alone?.cpuUs, rssBytes: many.rssBytes }
  } catch (error) {
    throw new Error(`${row.name}: ${String(error)}`, { cause: error })
  }
}

function describe(
  rows: readonly [Row, Row, Row, Row, ...Row[]],
  results: ReadonlyMap<Row, readonly Round[]>,
  scene: Scene,
  startMs: number,
  go: string | undefined,
): string {
  const [floor, noop, , full] = rows
  const of = (row: Row): readonly Round[] => results.get(row) ?? []
  const many = (row: Row): number[] => of(row).map((round) => round.many)
  const alone = (row: Row): number[] =>
    of(row).flatMap((round) => (round.alone === undefined ? [] : [round.alone]))
  /** Of the same round each: what slowed the machine down slowed both. */
  const ratio = (row: Row, to: Row, pick: (of: Row) => number[]): string => {
    const others = pick(to)
    const ratios = pick(row).map((value, at) => value / (others[at] ?? Number.NaN))
    return ratios.length === 0 || others.length === 0 ? '' : median(ratios).toFixed(2)
  }
  const cells = rows.map((row) => {
    if (typeof row.server === 'string') return [row.name, row.server, '', '', '', '', '', '']
    return [
      row.name,
      ...[many, alone].flatMap((pick) => [
        pick(row).length === 0 ? '' : spread(pick(row), 1),
        ratio(row, floor, pick),
        ratio(row, noop, pick),
      ]),
      (median(of(row).map(({ rssBytes }) => rssBytes)) / 2 ** 20).toFixed(0),
    ]
  })
  const against = (to: Row, name: string, aim: string): string =>
    ratio(full, to, many) === ''
      ? `There is no ${name} here to compare with.`
      : `The full decision is ${ratio(full, to, many)} times the ${name} with many calls in flight (aim: at most ` +
        `${aim}), ${ratio(full, to, alone)} times with calls alone.`
  const nodes = rows.flatMap(({ server }) => (typeof server === 'object' && server.node ? [server.node] : []))
  return lines(
    '## CPU of a Check',
    `${machineLine(roundsText(), nodes[0])} Microseconds of CPU of the server's process per Check: medians, least and ` +
      'greatest of all rounds; ratios are medians of those within each round. All rows take turns, every other round ' +
      `backwards, with ${WARMING} calls before each measurement. One plaintext connection, requests of ` +
      `${scene.known.length} bytes, policy of ${scene.services} services and ${scene.edges} edges.` +
      (go === undefined ? '' : ` The Go server: ${go}.`),
    `Many: ${IN_FLIGHT} calls in flight. What one read brings is answered in one write, so servers read and write many ` +
      `calls at once, which spares them most of their system calls. Alone: ${ALONE_RATE} calls a second at a steady ` +
      'rate, each in a read and a write of its own, as one Envoy sends them that is not busy.',
    table(['', 'many, µs', 'to floor', 'to Go', 'alone, µs', 'to floor', 'to Go', 'RSS MiB'], cells),
    `${against(floor, 'floor', '1.15')} ${against(noop, 'Go no-op', '0.8')}`,
    `From start to answering, policy included: ${(startMs / 1000).toFixed(1)} s.`,
  )
}
