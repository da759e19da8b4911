import type { StateStore } from '../../src/state/store.js'

/** Instances of a store under test, as the parts of the suite open them. They are closed after each test. */
export type Replicas = {
  readonly replica: (id: string) => Promise<StateStore>
  /** Several may be open at the same time and see each other. */
  readonly isShared: boolean
}

/** The record as an object. */
export async function readFields(store: StateStore, key: string, nowMs = Date.now()): Promise<unknown> {
  const answer = await store.read(key, nowMs)
  return answer === 'unavailable' ? answer : Object.fromEntries(answer)
}
