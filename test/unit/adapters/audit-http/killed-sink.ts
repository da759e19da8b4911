import { createPoster } from '../../../../src/adapters/audit-http/post.js'
import { createHttpSink } from '../../../../src/adapters/audit-http/sink.js'
import { openSpool } from '../../../../src/adapters/audit-http/spool.js'

/**
 * A process of its own that takes an event each millisecond until it is killed: arguments are the spool's folder, the
 * collector's URL, the first number and the flush interval. Says on a line of its output what it took, and when.
 */
const [directory = '', url = '', first = '1', flushIntervalMs = '50'] = process.argv.slice(2)
const opened = await openSpool({ directory, maxBytes: 64 * 1024 * 1024, key: undefined })
if (!opened.ok) throw new Error(opened.problem)
const sink = createHttpSink({
  name: 'Http 0',
  render: ({ line }) => line,
  buffer: 1_000_000,
  flushIntervalMs: Number(flushIntervalMs),
  batchEvents: 1000,
  batchBytes: 1024 * 1024,
  poster: createPoster({ url, timeoutMs: 1000, nowMs: Date.now }),
  spool: opened.spool,
  backoff: { firstMs: 20, mostMs: 50 },
  spoolAgainMs: 100,
  random: () => 1,
  tell: () => undefined,
})
let n = Number(first)
setInterval(() => {
  void sink.take({ line: `{"n":${n}}`, classification: undefined, atMs: 0 })
  process.stdout.write(`${n++} ${Date.now()}\n`)
}, 1)
