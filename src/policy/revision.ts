import { createHash } from 'node:crypto'
import type { PolicyFile } from './read-documents.js'

/**
 * Content hash of a directory: SHA-256, hex, over the files' names and bytes. The order in which they were
 * listed doesn't count. Layout and comments do, because rule sources are lines.
 */
export function revisionOf(files: readonly PolicyFile[]): string {
  const hash = createHash('sha256')
  for (const { file, text } of files.toSorted((a, b) => (a.file < b.file ? -1 : Number(a.file > b.file)))) {
    const bytes = Buffer.from(text)
    hash.update(`${Buffer.byteLength(file)}:${file}${bytes.length}:`).update(bytes)
  }
  return hash.digest('hex')
}
