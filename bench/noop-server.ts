import * as grpc from '@grpc/grpc-js'
import { AUTHORIZATION } from '../test/support/envoy-wire.js'
import { serveMeasurements } from './measured-process.js'

/** The floor: the same gRPC library, raw bytes in, the same pre-encoded allow out, nothing decided. */
const ALLOW = Buffer.from([0x0a, 0x00])
const server = new grpc.Server()
server.addService(
  {
    Check: {
      path: AUTHORIZATION.path,
      requestStream: false,
      responseStream: false,
      requestDeserialize: (message: Buffer) => message,
      requestSerialize: (message: Buffer) => message,
      responseSerialize: (reply: Buffer) => reply,
      responseDeserialize: (reply: Buffer) => reply,
    },
  },
  {
    Check: (_call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) =>
      callback(null, ALLOW),
  },
)
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error
  serveMeasurements(`127.0.0.1:${port}`, () => Promise.resolve(server.forceShutdown()))
})
