import { messageOf, StartFailure } from './log.js'

/** Takes every step, whatever the ones before it did; then throws what went wrong. */
export async function everyStep(steps: readonly (() => unknown)[]): Promise<void> {
  const failures: unknown[] = []
  for (const step of steps) {
    try {
      await step()
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, failures.map(messageOf).join('; '))
}

/** Ports and directories fail for reasons of the operator's. */
export async function orStartFailure<T>(what: string, opening: Promise<T>): Promise<T> {
  try {
    return await opening
  } catch (error) {
    throw new StartFailure([`${what}: ${messageOf(error)}`])
  }
}

/** Waits for all; throws one StartFailure with the problems of all. Any other exception is a bug and stays one. */
export async function failWithEveryProblem(openings: readonly Promise<unknown>[]): Promise<void> {
  const settled = await Promise.allSettled(openings)
  const failures = settled.flatMap((each): unknown[] => (each.status === 'rejected' ? [each.reason] : []))
  const bug = failures.find((failure) => !(failure instanceof StartFailure))
  if (bug !== undefined) throw bug
  const problems = failures.flatMap((failure) => (failure instanceof StartFailure ? failure.problems : []))
  if (problems.length > 0) throw new StartFailure(problems)
}

/** What closes it is among what is undone when the start fails, and at the end. */
export function closedOnFailure<T extends { close(): void }>(opened: T, undo: (() => void)[]): T {
  undo.push(() => opened.close())
  return opened
}
