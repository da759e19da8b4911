import { createAuditStream } from '../../adapters/redis/audit-stream.js'
import type { EventSink } from '../../audit/event-sink.js'
import type { AuditSinkConfig } from '../../config/audit.js'
import type { SinkSurroundings } from './surroundings.js'

const BACKOFF = { firstMs: 250, mostMs: 10_000 }

/** Events as entries of a stream of the store's Redis. */
export function openRedisSink(
  { stream, maxLength, buffer }: Extract<AuditSinkConfig, { type: 'RedisStream' }>,
  { name, render, appendEntries, log }: SinkSurroundings,
): EventSink {
  if (!appendEntries) throw new Error('an audit stream without Redis passed the checks')
  return createAuditStream({
    name,
    append: appendEntries,
    stream,
    maxLength,
    buffer,
    render,
    backoff: BACKOFF,
    random: Math.random,
    tell: (level, message, fields) => log(level, `${name}: ${message}`, fields),
  })
}
