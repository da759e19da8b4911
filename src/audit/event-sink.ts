import type { Eventually } from '../identity/eventually.js'

/**
 * Takes a security event. `accepted`: it will be written, or may be lost as the operator chose. `refused`:
 * it can't be recorded, so no call may pass on it. A promise waits for room, at most `waitMs`; after that
 * the line is withdrawn, so an event never tells of an answer that was not given.
 */
export type AcceptEvent = (line: string, waitMs: number) => Eventually<'accepted' | 'refused'>
