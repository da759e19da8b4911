/** Longer than this nobody else waits; the steps themselves are shorter. */
const TURN_MS = 2

/** Runs what was cut into steps, and lets calls be answered between them. */
export async function inTurns<Result>(steps: Generator<void, Result>): Promise<Result> {
  let startedAt = performance.now()
  for (;;) {
    const step = steps.next()
    if (step.done) return step.value
    if (performance.now() - startedAt < TURN_MS) continue
    await new Promise((done) => setImmediate(done))
    startedAt = performance.now()
  }
}

/** The same, and `late` when it isn't done at `endMs` of `performance.now()`; what is left of it is not run. */
export function withinTime<Result>(steps: Generator<void, Result>, endMs: number): Promise<Result | 'late'> {
  return inTurns(untilLate(steps, endMs))
}

function* untilLate<Result>(steps: Generator<void, Result>, endMs: number): Generator<void, Result | 'late'> {
  while (performance.now() < endMs) {
    const step = steps.next()
    if (step.done) return step.value
    yield
  }
  return 'late'
}
