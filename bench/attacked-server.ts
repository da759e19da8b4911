import { startGrpcListener } from '../src/adapters/grpc/listener.js'
import { serveMeasurements } from './measured-process.js'

/** The listener with the limits that ship, deciding nothing. The argument is its TLS as JSON, or nothing. */
const ALLOW = Buffer.from([0x0a, 0x00])
const [tls] = process.argv.slice(2)
const listener = await startGrpcListener({
  address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
  tls:
    tls === undefined
      ? undefined
      : {
          ...(JSON.parse(tls) as { certificate: string; key: string; clientCa: string }),
          allowedClients: undefined,
        },
  check: () => ALLOW,
  maxMessageBytes: 4 * 1024 * 1024,
  deadlineMs: 200,
})
serveMeasurements(listener.address, () => listener.close())
