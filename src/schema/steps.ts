/** Work that is cut into short steps, so that others may have their turn between them. It gives its result at the end. */
export type Steps<Result> = Generator<void, Result>

/** All steps at once. */
export function finish<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const step = steps.next()
    if (step.done) return step.value
  }
}
