import type { Key } from '../../identity/key-set.js'

/** Equal for key sets that verify the same signatures. */
export function identityOf(keys: readonly Key[]): string {
  const lines = keys.map(({ kid, algorithms, key }) => {
    const der = key.export({ format: 'der', type: 'spki' }).toString('base64')
    return `${JSON.stringify(kid ?? null)} ${algorithms.join(',')} ${der}`
  })
  return lines.sort().join('\n')
}
