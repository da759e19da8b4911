import type * as Listener from '../src/adapters/grpc/listener.js'
import { serveMeasurements } from './measured-process.js'

/** The listener that ships, deciding nothing: what is left of a Check when the decision costs nothing. */
const ALLOW = Buffer.from([0x0a, 0x00])
const { startGrpcListener } = (await import(
  new URL('../dist/adapters/grpc/listener.js', import.meta.url).href
)) as typeof Listener
const listener = await startGrpcListener({
  address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
  check: () => ALLOW,
  maxMessageBytes: 4 * 1024 * 1024,
  deadlineMs: 200,
})
serveMeasurements(listener.address, () => listener.close())
