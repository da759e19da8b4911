import { Worker } from 'node:worker_threads'
import type { LoadOptions } from '../policy/load-policy.js'
import type { PackedPolicy } from '../policy/packed-policy.js'
import type { Problem } from '../schema/problem.js'
import { messageOf } from './log.js'
import { unreadable } from './policy-files.js'

/** What the thread is told, and what it says once. */
export type PolicyQuestion = LoadOptions & { readonly directory: string }
export type PolicyAnswer =
  | { readonly ok: true; readonly packed: PackedPolicy }
  | { readonly ok: false; readonly problems: readonly Problem[] }

const PROGRAM = new URL('./policy-thread-program.js', import.meta.url)

/**
 * Reads and compiles a policy directory in a thread of its own, which ends with it: the work and the memory of it are
 * not those of the thread that answers. Never rejects; a thread that fails, or is told to end, has read nothing.
 */
export async function readPolicyInThread(
  question: PolicyQuestion,
  signal: AbortSignal,
): Promise<PolicyAnswer> {
  return new Promise((resolve) => {
    const thread = new Worker(PROGRAM, { workerData: question })
    const end = (): void => void thread.terminate()
    const fail = (why: string): void => resolve(unreadable([`the policy could not be read: ${why}`]))
    thread.once('message', (answer: PolicyAnswer) => resolve(answer))
    thread.once('error', (error) => fail(messageOf(error)))
    thread.once('exit', (code) => {
      signal.removeEventListener('abort', end)
      fail(`its thread ended with ${code}`)
    })
    signal.addEventListener('abort', end, { once: true })
    if (signal.aborted) end()
  })
}
