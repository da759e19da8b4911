/**
 * Steps that one evaluation may take: about 10 ms. A client who sends long lists and texts can't make it run longer.
 */
export const MAX_STEPS = 25_000

let left = 0

/** Thrown within an evaluation and caught by it: what a condition can't be evaluated without. */
export class OutOfSteps extends Error {}

/** Begins an evaluation; none runs inside of another. */
export function beginSteps(): void {
  left = MAX_STEPS
}

/** Counts what a function does besides its one step. */
export function spend(steps: number): void {
  left -= steps
  if (left < 0) throw new OutOfSteps(`more than ${MAX_STEPS} steps`)
}

export function areStepsSpent(): boolean {
  return left < 0
}
