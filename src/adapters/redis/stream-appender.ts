import { connect } from './connection.js'
import type { RedisStoreOptions } from './options.js'

/** Appends lines to streams, over a connection that opens with the first one. */
export type StreamAppender = {
  /** Keeps about `maxLength` entries. Rejects when the server does not take it. */
  readonly append: (stream: string, line: string, maxLength: number) => Promise<unknown>
  readonly close: () => void
}

export function openStreamAppender(options: RedisStoreOptions): StreamAppender {
  let client: ReturnType<typeof connect> | undefined
  return {
    append: (stream, line, maxLength) => {
      if (!client) {
        client = connect(options)
        client.on('error', ignore)
      }
      return client.xadd(stream, 'MAXLEN', '~', maxLength, '*', 'alert', line)
    },
    close: () => client?.disconnect(),
  }
}

/** Who appends is told by the command's own failure. */
function ignore(): void {}
