import { openEmbeddedStore, type EmbeddedStore } from '../adapters/embedded-store/store.js'
import type { Config } from '../config/config.js'
import { type Log, messageOf, StartFailure } from './log.js'

/** The store of subjects' state that the configuration names. Throws StartFailure when it can't be used. */
export async function openState(config: Config, log: Log): Promise<EmbeddedStore> {
  const { store } = config
  if (store.type === 'Redis') throw new StartFailure(['store.type: Redis is not supported by this version'])
  try {
    return await openEmbeddedStore({
      directory: store.directory,
      maxCopies: store.copies,
      startedAtMs: performance.timeOrigin,
      now: Date.now,
      warn: (message) => log('warn', message),
    })
  } catch (error) {
    throw new StartFailure([`store.directory: ${messageOf(error)}`])
  }
}
