import { randomBytes } from 'node:crypto'
import { Writable } from 'node:stream'
import type { GetServer } from '../../adapters/http/get-server.js'
import { startHealthServer } from '../../adapters/http/health.js'
import type { Config } from '../../config/config.js'
import type { Running } from '../../main.js'
import { serveState } from '../live-state.js'
import { messageOf, openLog, StartFailure } from '../log.js'
import { Crew } from './crew.js'
import { metricsOf, readinessOf } from './health.js'
import { Lines } from './lines.js'
import { openListeners, type SharedListeners } from './listeners.js'
import { configOfWorker } from './own-config.js'

export type SupervisorOptions = {
  readonly workers: number
  /** Security events of all workers, one a line. */
  readonly events: Writable
  /** Operational logs of all, whole lines. */
  readonly log: (line: string) => void
}

/** For what is still on its way from a worker that has ended, milliseconds. */
const LAST_LINES_MS = 1000

class LogStream extends Writable {
  readonly #log: (lines: string) => void

  constructor(log: (lines: string) => void) {
    super()
    this.#log = log
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#log(chunk.toString())
    done()
  }
}

/** As a Portcullis of one process. */
export type Supervised = Pick<Running, 'listeners' | 'health' | 'public' | 'admin' | 'toggleDebug' | 'stop'>

/**
 * Starts several processes that answer at the same addresses. This one only listens, hands connections over, writes
 * their events in whole lines, serves health and keeps them alive; it decides nothing. Throws StartFailure with the
 * problems of all, each once; then nothing listens and no process is left.
 */
export async function startWorkers(config: Config, options: SupervisorOptions): Promise<Supervised> {
  const liveLog = openLog(options.log, config.log.level, Date.now)
  const log = liveLog.of('workers')
  const events = new Lines(options.events)
  const logs = new Lines(new LogStream(options.log))
  const dpopNonceKey = randomBytes(32)
  const state = await serveState(config, liveLog.of('state'))
  let shared: SharedListeners | undefined
  const crew = new Crew({
    count: options.workers,
    connections: config.limits.listener.connections,
    beginningOf: (number) => ({
      kind: 'begin',
      number,
      config: configOfWorker(config, number),
      dpopNonceKey,
      storePath: state?.path,
    }),
    events,
    logs,
    shut: (listener) => shared?.shut(listener),
    log,
    liveLog,
  })
  let health: GetServer | undefined
  try {
    const first = await crew.start()
    shared = await openListeners(config.listeners, (listener, socket) => crew.give(listener, socket))
    health = await openHealth(config, crew)
    const { addresses } = shared
    log('info', 'ready', {
      workers: options.workers,
      listeners: addresses.map(({ name, address }) => `${name} ${address}`),
    })
    return {
      listeners: addresses,
      health: health?.address,
      public: first.public,
      admin: first.admin,
      toggleDebug: () => {
        liveLog.toggleDebug()
        crew.tellAll({ kind: 'log-level', level: liveLog.status().level, forMs: undefined })
      },
      stop: async () => {
        const lastMs = performance.now() + config.drain.timeoutMs
        await crew.stop()
        shared?.close()
        await health?.close()
        await state?.close(Date.now())
        // A worker that waited for the reader has waited long enough.
        const leftMs = Math.max(LAST_LINES_MS, lastMs - performance.now())
        if (!(await events.ended(leftMs))) {
          log('error', 'security events were not written: the reader has stopped reading')
        }
        await logs.ended(LAST_LINES_MS)
        liveLog.close()
      },
    }
  } catch (error) {
    shared?.close()
    await crew.kill()
    await logs.ended(LAST_LINES_MS)
    await state?.close(Date.now())
    liveLog.close()
    throw error
  }
}

async function openHealth(config: Config, crew: Crew): Promise<GetServer | undefined> {
  const { listen } = config.health
  if (!listen) return undefined
  try {
    return await startHealthServer({
      listen,
      readiness: () => readinessOf(crew),
      metrics: (accept) => metricsOf(crew, accept),
    })
  } catch (error) {
    throw new StartFailure([`health: ${messageOf(error)}`])
  }
}
