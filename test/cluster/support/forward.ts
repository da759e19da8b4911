import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { createInterface } from 'node:readline'

/** Ports of a pod's loopback, reached through the API server by ports of ours that stay the same. */
export type Forward = {
  /** Ours, by the pod's. */
  readonly ports: ReadonlyMap<number, number>
  stop(): void
}

export type ForwardOptions = {
  /** The pod may be another one by the next connection, so none waits ready. */
  readonly comesAndGoes?: boolean
}

type Tunnel = {
  readonly child: ChildProcess
  /** Of the tunnel on this machine, by the pod's. */
  readonly ports: ReadonlyMap<number, number>
}

const START_LIMIT_MS = 20_000
const FORWARDING = /^Forwarding from 127\.0\.0\.1:(\d+) -> (\d+)/

/**
 * Each connection gets a `kubectl port-forward` of its own, since that ends with the first connection that is reset,
 * and all others with it. The next one waits ready.
 */
export async function forward(
  namespace: string,
  pod: () => Promise<string>,
  ports: readonly number[],
  { comesAndGoes = false }: ForwardOptions = {},
): Promise<Forward> {
  const tunnels = new Set<ChildProcess>()
  let isStopped = false
  const open = async (): Promise<Tunnel> => {
    const tunnel = await openTunnel(namespace, await pod(), ports, (child) => tunnels.add(child))
    if (isStopped) tunnel.child.kill('SIGKILL')
    return tunnel
  }
  const opening = (): Promise<Tunnel> => {
    const tunnel = open()
    tunnel.catch(() => undefined)
    return tunnel
  }
  let next = opening()
  const take = async (): Promise<Tunnel> => {
    if (comesAndGoes) return open()
    const taken = next
    next = opening()
    const tunnel = await taken.catch(open)
    return tunnel.child.exitCode === null && tunnel.child.signalCode === null ? tunnel : open()
  }

  const servers = await Promise.all(
    ports.map((port) =>
      listen((socket) => {
        socket.on('error', () => undefined)
        take().then(
          ({ child, ports: by }) => {
            const through = connect({ host: '127.0.0.1', port: by.get(port) ?? 0, allowHalfOpen: true })
            through.on('error', () => socket.resetAndDestroy())
            through.on('close', () => child.kill('SIGKILL'))
            child.once('exit', () => tunnels.delete(child))
            socket.on('close', () => through.destroy())
            socket.pipe(through).pipe(socket)
          },
          () => socket.destroy(),
        )
      }),
    ),
  )
  await next
  return {
    ports: new Map(ports.map((port, index) => [port, portOf(servers[index])])),
    stop() {
      isStopped = true
      for (const server of servers) server.close()
      for (const child of tunnels) child.kill('SIGKILL')
    },
  }
}

async function openTunnel(
  namespace: string,
  pod: string,
  ports: readonly number[],
  onStart: (child: ChildProcess) => unknown,
): Promise<Tunnel> {
  const args = [
    'port-forward',
    '-n',
    namespace,
    '--address',
    '127.0.0.1',
    pod,
    ...ports.map((port) => `:${port}`),
  ]
  const child = spawn('kubectl', args, { stdio: ['ignore', 'pipe', 'pipe'] })
  onStart(child)
  let told = ''
  child.stderr.on('data', (text: Buffer) => (told += text.toString()))
  const by = new Map<number, number>()
  await new Promise<void>((resolve, reject) => {
    const fail = (): void => reject(new Error(`ports of ${namespace}/${pod} can't be forwarded: ${told}`))
    const late = setTimeout(() => child.kill('SIGKILL'), START_LIMIT_MS)
    child.once('close', () => {
      clearTimeout(late)
      fail()
    })
    child.once('error', fail)
    createInterface({ input: child.stdout }).on('line', (line) => {
      const [, own, theirs] = FORWARDING.exec(line) ?? []
      if (own !== undefined && theirs !== undefined) by.set(Number(theirs), Number(own))
      if (by.size < ports.length) return
      clearTimeout(late)
      resolve()
    })
  })
  return { child, ports: by }
}

async function listen(accept: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, accept).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

function portOf(server: Server | undefined): number {
  const address = server?.address()
  if (!address || typeof address === 'string') throw new Error('the server has no port')
  return address.port
}
