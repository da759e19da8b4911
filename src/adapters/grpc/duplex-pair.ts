import { Duplex } from 'node:stream'

/**
 * Two ends of a connection within the process: what is written to one is read from the other. A write is done at
 * once. An HTTP/2 end reads no DATA while a write of its own is under way, so two ends that waited for each other
 * to read would wait for ever; what lies between them is bounded by the windows of HTTP/2.
 */
export function duplexPair(): [Duplex, Duplex] {
  const left: Duplex = end(() => right)
  const right: Duplex = end(() => left)
  return [left, right]
}

function end(other: () => Duplex): Duplex {
  return new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _encoding, done) {
      const there = other()
      if (!there.destroyed) there.push(chunk)
      done()
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
}
