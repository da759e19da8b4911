import type { AlertSink } from '../../risk/alert-sink.js'

/** Alerts as lines of the operational log, which has a buffer of its own. */
export function createAlertLog(write: (line: string) => void): AlertSink {
  let delivered = 0
  return {
    send: (line) => {
      write(line)
      delivered++
    },
    drain: () => Promise.resolve(),
    figures: () => ({ pending: 0, delivered, dropped: 0 }),
  }
}
