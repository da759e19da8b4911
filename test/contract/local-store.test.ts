import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type EmbeddedStore, openEmbeddedStore } from '../../src/adapters/embedded-store/store.js'
import { type LocalStoreServer, serveLocalStore } from '../../src/adapters/local-store/server.js'
import { openLocalStore } from '../../src/adapters/local-store/store.js'
import { describeStateStore } from './suite.js'

let directory: string | undefined
let store: EmbeddedStore | undefined
let server: LocalStoreServer | undefined

describeStateStore('embedded, served to workers', {
  shared: true,
  start: async () => {
    directory = await mkdtemp(join(tmpdir(), 'portcullis-contract-'))
    const warn = (): void => undefined
    store = await openEmbeddedStore({ directory, startedAtMs: Date.now(), now: Date.now, warn })
    server = await serveLocalStore(store, { directory, now: Date.now, warn })
  },
  stop: async () => {
    await server?.close()
    await store?.close(Date.now())
    await rm(directory ?? 'nowhere', { recursive: true, force: true })
  },
  open: (_replica, now) => {
    if (!server) throw new Error('not started')
    // Two cores run everything: a slow answer is not what is tested here.
    const onUnavailable = { mode: 'Deny' } as const
    return openLocalStore({
      path: server.path,
      commandTimeoutMs: 2000,
      onUnavailable,
      now,
      warn: () => undefined,
    })
  },
})
