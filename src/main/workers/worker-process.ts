/** The program of one worker. What it does is told by the supervisor, in messages. */
import { Socket } from 'node:net'
import { WorkerLife } from './worker-life.js'
import { type FromWorker, isToWorker } from './protocol.js'

const life = new WorkerLife({
  events: process.stdout,
  log: (line) => void process.stderr.write(line),
  send: (message: FromWorker, sent: () => void) => {
    if (process.connected) process.send?.(message, undefined, {}, sent)
    else sent()
  },
})

// Signals to a whole group of processes are for the supervisor, which tells its workers.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGUSR2'] as const) process.on(signal, () => undefined)
// Whoever read the log is gone; authorization goes on without.
process.stderr.on('error', () => undefined)
/** Without its supervisor it would hold what the next one needs. */
const end = (): never => process.exit(1)
process.on('disconnect', end)
process.on('message', (message: unknown, handle: unknown) => {
  if (isToWorker(message)) life.take(message, handle instanceof Socket ? handle : undefined)
})

await life.ended
process.removeListener('disconnect', end)
process.disconnect()
// Events that nobody read in time would keep the process alive for ever.
if (process.stdout.writableLength > 0) process.exit()
