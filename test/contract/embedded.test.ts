import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEmbeddedStore } from '../../src/adapters/embedded-store/store.js'
import { describeStateStore } from './suite.js'

let directory: string | undefined

describeStateStore('embedded', {
  shared: false,
  start: async () => {
    directory = await mkdtemp(join(tmpdir(), 'portcullis-contract-'))
  },
  stop: () => rm(directory ?? 'nowhere', { recursive: true, force: true }),
  open: (_replica, now) => {
    if (directory === undefined) throw new Error('not started')
    return openEmbeddedStore({ directory, startedAtMs: now(), now, warn: () => undefined })
  },
})
