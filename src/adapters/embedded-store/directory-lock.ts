import { createHash } from 'node:crypto'
import { realpathSync } from 'node:fs'
import { createServer } from 'node:net'

/**
 * Holds a directory for this process: an abstract socket named for it, which the kernel lets go of however the process
 * ends. Rejects when another process of this machine holds it. Returns what lets go.
 */
export async function lockDirectory(directory: string): Promise<() => Promise<void>> {
  const name = createHash('sha256').update(realpathSync(directory)).digest('hex')
  const server = createServer((socket) => socket.destroy())
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        'code' in error && error.code === 'EADDRINUSE'
          ? new Error(`${directory} is in use by another portcullis`)
          : error,
      ),
    )
    server.listen(`\0portcullis-store-${name}`, resolve)
  })
  server.unref()
  return () => new Promise((resolve) => server.close(() => resolve()))
}
