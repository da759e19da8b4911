import { createHash } from 'node:crypto'
import type { Steps } from '../schema/steps.js'
import type { PolicyFile } from './read-documents.js'

/** Hashed in less than a millisecond. */
const STEP_BYTES = 256 * 1024

/**
 * Content hash of a directory: SHA-256, hex, over the files' names and bytes. The order in which they were
 * listed doesn't count. Layout and comments do, because rule sources are lines.
 */
export function* revisionOf(files: readonly PolicyFile[]): Steps<string> {
  const hash = createHash('sha256')
  for (const { file, text } of files.toSorted((a, b) => (a.file < b.file ? -1 : Number(a.file > b.file)))) {
    const bytes = Buffer.from(text)
    hash.update(`${Buffer.byteLength(file)}:${file}${bytes.length}:`)
    for (let at = 0; at < bytes.length; at += STEP_BYTES) {
      hash.update(bytes.subarray(at, at + STEP_BYTES))
      yield
    }
  }
  return hash.digest('hex')
}
