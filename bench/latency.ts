import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startGoNoop } from './go-noop.js'
import { type LoadResult, sendLoad } from './load.js'
import { measureLoad, type MeasuredLoad, warmUp } from './measured-load.js'
import { MeasuredProcess, type MeasuredServer } from './measured-process.js'
import { lines, machineLine, median, FEW_ROUNDS, roundsText, spread, table } from './report.js'
import { prepareScene } from './scene.js'

const IN_FLIGHT = [1, 32, 100] as const
const CALLS: Readonly<Record<number, number>> = { 1: 3000, 32: 10_000, 100: 10_000 }
const WARMING = 2000

/** How long calls take over one connection, few and many at a time. */
export async function measureLatency(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'portcullis-bench-'))
  const servers: MeasuredServer[] = []
  try {
    const { known } = await prepareScene(folder)
    const go = await startGoNoop(folder)
    const floor = await MeasuredProcess.start('noop-server.ts', [])
    const listener = await MeasuredProcess.start('listener-server.ts', [])
    const configuration = join(folder, 'portcullis-audited.yaml')
    const full = await MeasuredProcess.start('portcullis-server.ts', [configuration, '--repeatable-tokens'])
    const named: readonly (readonly [string, MeasuredServer])[] = [
      ['no-op on @grpc/grpc-js', floor],
      ...('server' in go ? ([['no-op on grpc-go', go.server]] as const) : []),
      ['no-op on the listener that ships', listener],
      ['full decision', full],
    ]
    servers.push(...named.map(([, server]) => server))
    const results = named.flatMap(([name, server]) =>
      IN_FLIGHT.map((inFlight) => ({ name, server, inFlight, rounds: [] as MeasuredLoad<LoadResult>[] })),
    )
    for (const server of servers) await warmUp(server, known)
    for (let round = 0; round <= FEW_ROUNDS; round++) {
      for (const { server, inFlight, rounds } of round % 2 === 0 ? results : results.toReversed()) {
        const calls = CALLS[inFlight] ?? 0
        await sendLoad(server.address, WARMING, inFlight, () => known)
        const measured = await measureLoad(server, calls, (address) =>
          sendLoad(address, calls, inFlight, () => known),
        )
        if (round > 0) rounds.push(measured)
      }
    }
    const rows = results.map(({ name, inFlight, rounds }) => {
      const loads = rounds.map(({ load }) => load)
      return [
        name,
        inFlight,
        median(loads.map(({ p50Ms }) => p50Ms)).toFixed(2),
        spread(
          loads.map(({ p99Ms }) => p99Ms),
          2,
        ),
        median(loads.map(({ p50Ms, p99Ms }) => p99Ms / p50Ms)).toFixed(1),
        Math.round(median(loads.map(({ answered, wallMs }) => (answered / wallMs) * 1000))),
      ]
    })
    const last = rows.at(-1)?.[4] ?? ''
    return lines(
      '## Latency over one connection',
      `${machineLine(roundsText(FEW_ROUNDS), full.node)} One plaintext connection, the full decision of the table above, and the ` +
        'same without any. The client writes frames that it made before, so that nearly all of a call is the ' +
        "server's own time, and shares the cores with it. Calls follow one another as they are answered: with n " +
        'of them in flight each waits for n others.',
      table(['', 'in flight', 'p50 ms', 'p99 ms', 'p99 to p50', 'calls a second'], rows),
      `With 100 calls in flight, p99 of a full decision is ${last} times its p50 (aim: at most 3).`,
      ...('missing' in go ? [`No grpc-go here: ${go.missing}.`] : []),
    )
  } finally {
    for (const server of servers) await server.stop()
    await rm(folder, { recursive: true, force: true })
  }
}
