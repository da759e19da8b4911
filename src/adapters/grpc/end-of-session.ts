import type { ServerHttp2Session } from 'node:http2'

/** Seen with 22.23.3; not with 20.20.2 and 24.21.0, which are let be. */
const ABORTS = /^2[1-3]\./.test(process.versions.node)

/**
 * Lets a session that is ended while its bytes are read end right after that read. Else Node.js 22 aborts the
 * process when another call with a body follows in the same bytes, for example behind a GOAWAY with an error or a
 * PING answer that nobody waits for.
 */
export function endAfterRead(session: ServerHttp2Session): void {
  if (!ABORTS) return
  const destroy = session.destroy.bind(session)
  session.destroy = (...how): void => {
    setImmediate(() => destroy(...how))
  }
}
