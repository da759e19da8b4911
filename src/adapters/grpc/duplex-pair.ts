import { Duplex } from 'node:stream'

/** Two ends of a connection within the process: what is written to one is read from the other. */
export function duplexPair(): [Duplex, Duplex] {
  const left: Duplex = end(() => right)
  const right: Duplex = end(() => left)
  return [left, right]
}

/** By the end that is being read: goes on with the write that the other end could not take at once. */
const waiting = new WeakMap<Duplex, () => void>()

function end(other: () => Duplex): Duplex {
  const here: Duplex = new Duplex({
    read() {
      const resume = waiting.get(here)
      waiting.delete(here)
      resume?.()
    },
    write(chunk: Buffer, _encoding, done) {
      const there = other()
      if (there.destroyed || there.push(chunk)) done()
      else waiting.set(there, done)
    },
    final(done) {
      if (!other().destroyed) other().push(null)
      done()
    },
    destroy(error, done) {
      setImmediate(() => other().destroy())
      done(error)
    },
  })
  return here
}
