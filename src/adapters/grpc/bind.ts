import { chmod, lstat, unlink } from 'node:fs/promises'
import { connect, type Server } from 'node:net'

/** Where to listen. `host` is an IP address without brackets; port 0 is a free one. */
export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

const SOCKET_MODE = 0o660

/**
 * Makes the server listen and gives the address in the spelling of the configuration, with the port it got.
 * Rejects with what the operator needs to read: the address and why. `[::]` takes IPv4 too, and is 0.0.0.0
 * where the host has no IPv6. A Unix socket that nobody listens on any more is replaced.
 */
export async function bind(server: Server, address: ListenAddress): Promise<string> {
  if (address.kind === 'unix') {
    await removeStaleSocket(address.path)
    await listen(server, { path: address.path }, `unix:${address.path}`)
    await chmod(address.path, SOCKET_MODE)
    return `unix:${address.path}`
  }
  const { host, port } = address
  try {
    await listen(server, { host, port }, written(host, port))
  } catch (error) {
    if (host !== '::' || !isNoIpv6(error)) throw error
    await listen(server, { host: '0.0.0.0', port }, written('0.0.0.0', port))
  }
  const bound = server.address()
  if (bound === null || typeof bound === 'string') throw new Error('a TCP listener has no TCP address')
  return written(bound.address, bound.port)
}

const written = (host: string, port: number): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`

const PROBLEM: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there',
  EADDRNOTAVAIL: 'this host has no such address',
  EACCES: 'permission denied',
  ENOENT: 'the directory does not exist',
}

function isNoIpv6(error: unknown): boolean {
  const code = error instanceof Error ? codeOf(error.cause) : undefined
  return code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL'
}

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : ''
}

function listen(
  server: Server,
  at: { path: string } | { host: string; port: number },
  name: string,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => {
      const why = PROBLEM[codeOf(error)] ?? error.message
      reject(new Error(`cannot listen on ${name}: ${why}`, { cause: error }))
    }
    server.once('error', failed)
    server.listen(at, () => {
      server.removeListener('error', failed)
      resolve()
    })
  })
}

async function removeStaleSocket(path: string): Promise<void> {
  let found
  try {
    found = await lstat(path)
  } catch {
    return
  }
  if (!found.isSocket()) throw new Error(`cannot listen on unix:${path}: there is a file that is no socket`)
  if (await answers(path)) throw new Error(`cannot listen on unix:${path}: another program listens there`)
  await unlink(path)
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', (error) => resolve(codeOf(error) !== 'ECONNREFUSED'))
  })
}
