import type { Writable } from 'node:stream'
import { createLineSink } from '../adapters/line-sink.js'
import type { AppendEntries } from '../adapters/redis/audit-stream.js'
import { createTrail, type Trail, type TrailSink } from '../audit/trail.js'
import type { AuditSinkConfig } from '../config/audit.js'
import type { Config } from '../config/config.js'
import { openFileSink } from './audit/file-sink.js'
import { openHttpSink } from './audit/http-sink.js'
import { LossAlerts } from './audit/loss-alerts.js'
import { openRedisSink } from './audit/redis-sink.js'
import { rendererOf } from './audit/render.js'
import type { ClassificationRule, SinkSurroundings } from './audit/surroundings.js'
import { type Log, StartFailure } from './log.js'

/** How often lost events are looked for. */
const LOSSES_MS = 1000

export type TrailParts = {
  /** Where the sink Stdout writes. */
  readonly events: Writable
  /** Undefined where there is no Redis. */
  readonly appendEntries: AppendEntries | undefined
  readonly classification: (name: string) => ClassificationRule | undefined
  /** Tells alert sinks: one line of JSON. */
  readonly tell: (line: string) => void
  /** Told when a sink breaks for good. */
  readonly onBroken: () => void
  readonly log: Log
  readonly nowMs: () => number
}

/** Opens every sink of the configuration. Throws StartFailure with the problems of all; then none is left open. */
export async function openAuditTrail({ audit }: Pick<Config, 'audit'>, parts: TrailParts): Promise<Trail> {
  const settled = await Promise.allSettled(
    audit.sinks.map(async (sink, index): Promise<TrailSink> => {
      const opened = await openSink(sink, `${sink.type} ${index}`, parts)
      return { sink: opened, overflow: sink.overflow }
    }),
  )
  const sinks = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  const failures = settled.flatMap((each): unknown[] => (each.status === 'rejected' ? [each.reason] : []))
  if (failures.length > 0) {
    await Promise.all(sinks.map(async ({ sink }) => sink.drain(0)))
    const bug = failures.find((failure) => !(failure instanceof StartFailure))
    if (bug !== undefined) throw bug
    throw new StartFailure(failures.flatMap((each) => (each instanceof StartFailure ? each.problems : [])))
  }
  const { tell, log, nowMs } = parts
  const losses = new LossAlerts(tell, log)
  const trail = createTrail({ sinks, nowMs })
  const looking = setInterval(() => losses.look(trail.figures(), nowMs()), LOSSES_MS).unref()
  return {
    ...trail,
    drain: async (withinMs) => {
      await trail.drain(withinMs)
      clearInterval(looking)
      losses.look(trail.figures(), nowMs(), true)
    },
  }
}

function openSink(
  config: AuditSinkConfig,
  name: string,
  parts: TrailParts,
): TrailSink['sink'] | Promise<TrailSink['sink']> {
  const render = rendererOf(config)
  const surroundings: SinkSurroundings = { ...parts, name, render }
  if (config.type === 'File') return openFileSink(config, surroundings)
  if (config.type === 'Http') return openHttpSink(config, surroundings)
  if (config.type === 'RedisStream') return openRedisSink(config, surroundings)
  const { events: stream, onBroken } = parts
  return createLineSink({ name, render, stream, bufferLines: config.buffer, onBroken })
}
