import type { StateOp } from '../state/record.js'
import { LEVEL } from './signal-fields.js'

const LEVELS = ['LOW', 'MEDIUM', 'HIGH'] as const

/** A risk level told at a time of a user, session or workload; the newest counts, of one time the higher. */
export function levelOps(level: (typeof LEVELS)[number], atMs: number): readonly StateOp[] {
  return [['latest', LEVEL, atMs, String(LEVELS.indexOf(level) + 1)]]
}
