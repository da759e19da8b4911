import { createHash } from 'node:crypto'

/**
 * Content hash of documents: SHA-256, hex. What counts is what the documents say: not the order of files, of
 * documents or of fields, and neither comments nor layout.
 */
export function revisionOf(documents: readonly unknown[]): string {
  const hash = createHash('sha256')
  for (const text of documents.map((document) => JSON.stringify(document, sortedKeys)).sort()) {
    hash.update(text).update('\n')
  }
  return hash.digest('hex')
}

function sortedKeys(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  const sorted: Record<string, unknown> = Object.create(null)
  for (const [key, field] of Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) sorted[key] = field
  return sorted
}
