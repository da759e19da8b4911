import { chmod, lstat, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const FOLDER = 'workers'
const SOCKET = 'store.sock'
/** What fits the address of a socket everywhere. */
const MAX_PATH_BYTES = 100

/** Where a socket can be made, and how to take that away again. */
export type Place = { readonly path: string; readonly remove: () => Promise<void> }

/**
 * A folder that only this user can enter: in the store's own, where one that a crash left is used again, or with the
 * temporary files where that path is too long for a socket. Throws when it can't be made, or is somebody else's.
 */
export async function makePlace(directory: string): Promise<Place> {
  const own = join(directory, FOLDER)
  if (Buffer.byteLength(join(own, SOCKET)) > MAX_PATH_BYTES) {
    const made = await mkdtemp(join(tmpdir(), 'portcullis-'))
    return placeIn(made)
  }
  await mkdir(own, { recursive: true, mode: 0o700 })
  const found = await lstat(own)
  if (!found.isDirectory() || (process.getuid && found.uid !== process.getuid())) {
    throw new Error(`${own} is not a folder of this user`)
  }
  await chmod(own, 0o700)
  await rm(join(own, SOCKET), { force: true })
  return placeIn(own)
}

function placeIn(folder: string): Place {
  return { path: join(folder, SOCKET), remove: () => rm(folder, { recursive: true, force: true }) }
}
