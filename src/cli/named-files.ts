import { dirname, resolve } from 'node:path'
import type { LoadedConfig } from '../config/load.js'
import type { Pointer } from '../schema/problem.js'

/**
 * Where the configuration names the file that a problem of the start is about, as `file:line:column` or the name of
 * a variable or flag; undefined where the problem names no file of the configuration.
 */
export function placeOfNamedFile(
  problem: string,
  configurationFile: string,
  loaded: LoadedConfig,
): string | undefined {
  const folder = dirname(resolve(configurationFile))
  let best: { readonly pointer: Pointer; readonly length: number } | undefined
  for (const { pointer, text } of textsOf(loaded.effective, [])) {
    const path = resolve(folder, text)
    if (text !== '' && problem.includes(path) && path.length > (best?.length ?? 0)) {
      best = { pointer, length: path.length }
    }
  }
  return best && loaded.originOf(best.pointer)
}

function* textsOf(value: unknown, pointer: Pointer): Iterable<{ pointer: Pointer; text: string }> {
  if (typeof value === 'string') yield { pointer, text: value }
  if (typeof value !== 'object' || value === null) return
  for (const [name, member] of Object.entries(value)) {
    yield* textsOf(member, [...pointer, Array.isArray(value) ? Number(name) : name])
  }
}
