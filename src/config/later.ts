import type { Pointer } from '../schema/problem.js'

/** Options of the format whose capability this version does not have; `*` is any name or index. */
const NOT_YET: readonly Pointer[] = [['policy', 'kubernetes']]

/**
 * Takes out of a configuration what a later version will understand, and says where that was: such an
 * option is refused as not supported, never as unknown, and never silently ignored.
 */
export function takeOutLater(root: unknown): Pointer[] {
  return NOT_YET.flatMap((path) => takeOut(root, path, []))
}

/** The names of such options within the section at `pointer`. */
export function laterNames(pointer: Pointer): string[] {
  const within = NOT_YET.filter(
    (path) =>
      path.length > pointer.length &&
      pointer.every((step, index) => path[index] === '*' || path[index] === step),
  )
  return within.flatMap((path) => (path.length === pointer.length + 1 ? [String(path[pointer.length])] : []))
}

function takeOut(value: unknown, path: Pointer, way: Pointer): Pointer[] {
  const [step, ...rest] = path
  if (step === undefined || !isObject(value)) return []
  const names = step === '*' ? Object.keys(value) : Object.hasOwn(value, step) ? [String(step)] : []
  return names.flatMap((name) => {
    const here = [...way, Array.isArray(value) ? Number(name) : name]
    if (rest.length > 0) return takeOut(value[name], rest, here)
    delete value[name]
    return [here]
  })
}

function isObject(value: unknown): value is Record<string | number, unknown> {
  return typeof value === 'object' && value !== null
}
