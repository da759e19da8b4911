import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, link, lstat, open, rename, rm } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { codeOf } from './io-error.js'

/** Held until it is released or the process ends, however it ends. */
export type Lock = {
  /** False once somebody has taken the file away. */
  readonly isHeld: () => Promise<boolean>
  readonly release: () => Promise<void>
}

export type Locked = { readonly ok: true; readonly lock: Lock } | { readonly ok: false }

/** How long one who holds the lock may take to say so. */
const ANSWER_MS = 1000
const ATTEMPTS = 5

/**
 * Locks by a listening Unix socket at `path`: the kernel ends it with its process, whichever process number, container
 * or restart that has, so that what a killed process left is told from a lock that is held. Not `ok`: another process
 * holds it. Throws where there can be no socket.
 */
export async function acquireLock(path: string): Promise<Locked> {
  const directory = await open(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY)
  const name = basename(path)
  const own = `${name}.${randomBytes(6).toString('hex')}`
  let server: Server | undefined
  try {
    server = await listenAt(socketPath(directory, dirname(path), own))
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (await linked(join(dirname(path), own), path)) {
        return { ok: true, lock: await held(server, path, own) }
      }
      const found = await inodeOf(path)
      if (await answers(socketPath(directory, dirname(path), name))) break
      if (found !== undefined) await removeLeft(path, found)
    }
    server.close()
    return { ok: false }
  } catch (error) {
    server?.close()
    throw error
  } finally {
    await rm(join(dirname(path), own), { force: true })
    await directory.close()
  }
}

/** Paths of sockets end at about 100 bytes; through an open folder every one is short. */
function socketPath(directory: FileHandle, folder: string, name: string): string {
  return process.platform === 'linux' ? `/proc/self/fd/${directory.fd}/${name}` : join(folder, name)
}

function listenAt(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy()).unref()
    server.once('error', reject)
    server.listen(path, () => resolve(server))
  })
}

/** False: there is a file at `to`. */
async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  }
}

async function held(server: Server, path: string, own: string): Promise<Lock> {
  const inode = await inodeOf(join(dirname(path), own))
  const isHeld = async (): Promise<boolean> => (await inodeOf(path)) === inode
  return {
    isHeld,
    release: async () => {
      if (await isHeld().catch(() => false)) await rm(path, { force: true })
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
      })
    },
  }
}

async function inodeOf(path: string): Promise<number | undefined> {
  try {
    return (await lstat(path)).ino
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Removes what a dead process left, and nothing that came to its place meanwhile. */
async function removeLeft(path: string, inode: number): Promise<void> {
  const aside = `${path}.${randomBytes(6).toString('hex')}`
  try {
    await rename(path, aside)
    if ((await inodeOf(aside)) !== inode) await linked(aside, path)
    await rm(aside, { force: true })
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
  }
}

/** What does not answer in time may still live: only a refusal by the kernel says that nobody does. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    const settle = (isThere: boolean): void => {
      socket.destroy()
      resolve(isThere)
    }
    socket.setTimeout(ANSWER_MS, () => settle(true))
    socket.once('connect', () => settle(true))
    socket.once('error', (error) =>
      settle(!['ECONNREFUSED', 'ENOENT', 'ENOTSOCK'].includes(String(codeOf(error)))),
    )
  })
}
