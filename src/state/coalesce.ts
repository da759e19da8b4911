import type { StateDelta, StateOp } from './record.js'

/** Operations of one record waiting at most; they are this many only where nothing can be put together. */
export const MAX_OPS = 512

/** Changes of one record that wait to be written. */
export type Waiting = { readonly ops: StateOp[]; expiresAtMs: number }

/** Puts a change behind those that wait. False: they are too many, nothing was taken. */
export function append(waiting: Waiting, { ops, expiresAtMs }: Omit<StateDelta, 'key'>): boolean {
  if (waiting.ops.length + ops.length > MAX_OPS) return false
  for (const op of ops) coalesce(waiting.ops, op)
  waiting.expiresAtMs = Math.max(waiting.expiresAtMs, expiresAtMs)
  return true
}

/**
 * Adds an operation so that all together do the same as before with it behind, in fewer operations where possible.
 * Only a record at its limit of fields may come out differently: what was dropped again never took a place.
 */
export function coalesce(ops: StateOp[], op: StateOp): void {
  if (op[0] === 'drop' || op[0] === 'prune') {
    for (let at = ops.length - 1; at >= 0; at--) {
      const earlier = ops[at]
      if (earlier && isUndone(earlier, op)) ops.splice(at, 1)
    }
    ops.push(op)
    return
  }
  for (let at = ops.length - 1; at >= 0; at--) {
    const earlier = ops[at]
    if (!earlier) continue
    const merged = earlier[1] === op[1] ? merge(earlier, op) : undefined
    if (merged) {
      ops[at] = merged
      return
    }
    if (removes(earlier, op[1]) || (earlier[0] !== 'prune' && earlier[1] === op[1])) break
  }
  ops.push(op)
}

function isUndone(earlier: StateOp, by: StateOp): boolean {
  if (earlier[0] !== 'prune') return removes(by, earlier[1])
  return by[0] === 'prune' && earlier[1] === by[1] && earlier[2] <= by[2]
}

function removes(op: StateOp, field: string): boolean {
  if (op[0] === 'drop') return op[1] === field
  if (op[0] !== 'prune' || !field.startsWith(op[1])) return false
  const digits = field.slice(op[1].length)
  return /^[0-9]+$/.test(digits) && Number(digits) < op[2]
}

function merge(earlier: StateOp, later: StateOp): StateOp | undefined {
  if (earlier[0] === 'add' && later[0] === 'add') {
    const sum = earlier[2] + later[2]
    return Number.isFinite(sum) ? ['add', later[1], sum] : undefined
  }
  if (earlier[0] === 'max' && later[0] === 'max') return ['max', later[1], Math.max(earlier[2], later[2])]
  if (earlier[0] === 'min' && later[0] === 'min') return ['min', later[1], Math.min(earlier[2], later[2])]
  if (earlier[0] !== 'latest' || later[0] !== 'latest') return undefined
  const [wasMs, isMs] = [Math.trunc(earlier[2]), Math.trunc(later[2])]
  return isMs > wasMs || (isMs === wasMs && later[3] > earlier[3]) ? later : earlier
}
