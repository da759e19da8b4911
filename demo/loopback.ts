import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/**
 * A loopback address for each name, so that every service of the mesh keeps the ports of the shipped
 * configuration. All of 127.0.0.0/8 answers on Linux. The addresses were free on `probePort` a moment ago.
 */
export async function loopbackAddresses(
  names: readonly string[],
  probePort: number,
): Promise<ReadonlyMap<string, string>> {
  for (let attempt = 0; attempt < 20; attempt++) {
    const network = `127.${randomInt(16, 240)}.${randomInt(0, 256)}`
    const addresses = names.map((name, index) => [name, `${network}.${index + 10}`] as const)
    const free = await Promise.all(addresses.map(([, address]) => canListen(address, probePort)))
    if (free.every(Boolean)) return new Map(addresses)
  }
  throw new Error(`found no free addresses in 127.0.0.0/8 for port ${probePort}`)
}

function canListen(host: string, port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') return resolve(false)
      reject(
        error.code === 'EADDRNOTAVAIL'
          ? new Error(
              `${host} is not an address of this machine; the demo needs all of 127.0.0.0/8, as on Linux`,
            )
          : error,
      )
    })
    server.listen(port, host, () => server.close(() => resolve(true)))
  })
}
