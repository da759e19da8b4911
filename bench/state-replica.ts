/** One replica of three: holds copies of the subjects that are asked for, and tells when it first sees each change. */
import { setTimeout as sleep } from 'node:timers/promises'
import { openShared } from './state.js'

const store = await openShared(Number(process.argv[2]), `replica-${process.pid}`)
process.on('message', (message: { readonly key: string; readonly value: number }) => {
  void (async () => {
    for (;;) {
      const record = await store.read(message.key, Date.now())
      if (record !== 'unavailable' && record.get('x') === message.value) break
      await sleep(1)
    }
    process.send?.({ atMs: Date.now() })
  })()
})
process.on('disconnect', () => process.exit(0))
process.send?.('ready')
