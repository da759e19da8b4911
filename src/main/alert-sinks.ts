import { randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createAlertLog } from '../adapters/alerts/log.js'
import { type AppendToStream, createAlertStream } from '../adapters/alerts/stream.js'
import { createWebhook } from '../adapters/alerts/webhook.js'
import type { Config } from '../config/config.js'
import type { AlertSink, AlertSinkFigures } from '../risk/alert-sink.js'
import { type Log, messageOf, StartFailure } from './log.js'

export type AlertSinks = {
  /** One alert as a line of JSON, to every sink. */
  readonly send: (line: string) => void
  readonly drain: (withinMs: number) => Promise<void>
  /** By type and number of the sink, as `Webhook 1`. */
  readonly figures: () => ReadonlyMap<string, AlertSinkFigures>
}

const RANDOM_STEPS = 2 ** 32

/** The sinks that the configuration names. Throws StartFailure when a token can't be read. */
export function openAlertSinks(
  { alerts }: Pick<Config, 'alerts'>,
  append: AppendToStream | undefined,
  log: Log,
): AlertSinks {
  const warn = (message: string): void => log('warn', message)
  const random = (): number => randomInt(RANDOM_STEPS) / RANDOM_STEPS
  const sinks = new Map<string, AlertSink>()
  for (const [index, sink] of alerts.sinks.entries()) {
    const name = `${sink.type} ${index}`
    if (sink.type === 'Log') {
      sinks.set(
        name,
        createAlertLog((line) => log('warn', 'risk alert', { alert: JSON.parse(line) })),
      )
    } else if (sink.type === 'Webhook') {
      const { url, tokenFile, timeoutMs, retries } = sink
      const token = tokenFile === undefined ? undefined : tokenOf(tokenFile, ['alerts', 'sinks', index])
      const { buffer } = alerts
      sinks.set(
        name,
        createWebhook({ url, token, timeoutMs, retries, buffer, nowMs: Date.now, random, warn }),
      )
    } else {
      if (!append) throw new Error('an alert stream without Redis passed the checks')
      const { stream, maxLength } = sink
      sinks.set(name, createAlertStream({ append, stream, maxLength, buffer: alerts.buffer, random, warn }))
    }
  }
  return {
    send: (line) => {
      for (const sink of sinks.values()) sink.send(line)
    },
    drain: async (withinMs) => {
      await Promise.all(Array.from(sinks.values(), (sink) => sink.drain(withinMs)))
    },
    figures: () => new Map(Array.from(sinks, ([name, sink]) => [name, sink.figures()])),
  }
}

/** Reads the file anew for each alert, so that a renewed token counts; one that is gone leaves the last. */
function tokenOf(file: string, pointer: readonly (string | number)[]): () => string {
  let last: string
  try {
    last = readFileSync(file, 'utf8').trim()
  } catch (error) {
    throw new StartFailure([`${pointer.join('.')}.tokenFile: ${messageOf(error)}`])
  }
  return () => {
    try {
      last = readFileSync(file, 'utf8').trim()
    } catch {
      // The last one serves until the file is back.
    }
    return last
  }
}
