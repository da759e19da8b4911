import type { Key } from '../../identity/key-set.js'

/** Equal for key sets that verify the same signatures. */
export function identityOf(keys: readonly Key[]): string {
  const lines = keys.map(({ kid, algorithms, key }) => {
    const der = key.export({ format: 'der', type: 'spki' }).toString('base64')
    return `${JSON.stringify(kid ?? null)} ${algorithms.join(',')} ${der}`
  })
  return lines.sort().join('\n')
}

/** Of the keys that are believed, those that a refused set still lists: what it no longer lists was withdrawn. */
export function stillListed(keys: readonly Key[], listed: readonly Key[]): readonly Key[] {
  const names = new Set(listed.map((key) => identityOf([key])))
  return keys.filter((key) => names.has(identityOf([key])))
}
