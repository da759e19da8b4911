import { connect } from 'node:http2'

/** What a burst is told. */
export type Burst = {
  readonly address: string
  readonly path: string
  /** The message of each call, base64. */
  readonly message: string
  readonly calls: number
  readonly timeoutMs: number
}

/** Of one call: its reply, base64, or its gRPC status, and how long it took. */
export type BurstAnswer = { readonly reply: string; readonly status: string; readonly tookMs: number }

/** In a process of its own: sends calls all at once over one connection, and tells how each was answered. */
process.once('message', ({ address, path, message, calls, timeoutMs }: Burst) => {
  const payload = Buffer.from(message, 'base64')
  const framed = Buffer.concat([Buffer.from([0, 0, 0, 0, 0]), payload])
  framed.writeUInt32BE(payload.length, 1)
  const session = connect(`http://${address}`)
  const one = async (): Promise<BurstAnswer> =>
    new Promise((resolve) => {
      const startedMs = performance.now()
      const parts: Buffer[] = []
      let status = ''
      const stream = session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
        'grpc-timeout': `${timeoutMs}m`,
      })
      stream.on('data', (part: Buffer) => parts.push(part))
      stream.on('response', (headers) => (status = String(headers['grpc-status'] ?? '')))
      stream.on('trailers', (trailers) => (status = String(trailers['grpc-status'])))
      stream.on('error', (error) => (status = error.message))
      stream.on('close', () => {
        const reply = Buffer.concat(parts).subarray(5).toString('base64')
        resolve({ reply, status, tookMs: performance.now() - startedMs })
      })
      stream.end(framed)
    })
  session.once('remoteSettings', () => {
    void one()
      .then(() => Promise.all(Array.from({ length: calls }, one)))
      .then((answers) => {
        session.close()
        process.send?.(answers, undefined, undefined, () => process.disconnect())
      })
  })
})
