import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { join } from 'node:path'
import { TLSSocket } from 'node:tls'
import { stringify } from 'yaml'
import type { Echo } from '../../../demo/upstream.js'
import type { Processes } from '../../../demo/processes.js'
import { type Bootstrap, type Endpoint, isMessage, type Message, toList } from './envoy-messages.js'

const HOST = '127.0.0.1'
const READY_WITHIN_MS = 20_000

export type LoadedEnvoy = { readonly admin: string; readonly listener: Endpoint }

/** A real Envoy that has loaded the bootstrap. Throws with its log when it takes it for wrong. */
export async function loadedEnvoy(
  { processes, envoy, directory }: { processes: Processes; envoy: string; directory: string },
  name: string,
  bootstrap: Bootstrap,
): Promise<LoadedEnvoy> {
  const file = join(directory, `${name}.yaml`)
  const addressFile = join(directory, `${name}.admin`)
  writeFileSync(file, stringify(bootstrap))
  const args = [
    '-c',
    file,
    '--admin-address-path',
    addressFile,
    '--use-dynamic-base-id',
    '--concurrency',
    '1',
  ]
  const running = await processes.start(name, envoy, args)
  const endMs = Date.now() + READY_WITHIN_MS
  for (;;) {
    processes.assertRunning(running)
    const loaded = await loadedAt(addressFile)
    if (loaded) return loaded
    if (Date.now() > endMs) throw new Error(`not ready: ${readFileSync(running.logFile, 'utf8')}`)
    await new Promise((next) => setTimeout(next, 50))
  }
}

async function loadedAt(addressFile: string): Promise<LoadedEnvoy | undefined> {
  try {
    const admin = `http://${readFileSync(addressFile, 'utf8').trim()}`
    if (!(await fetch(`${admin}/ready`)).ok) return undefined
    const listeners: unknown = await (await fetch(`${admin}/listeners?format=json`)).json()
    const [status] = toList(isMessage(listeners) ? listeners['listener_statuses'] : undefined)
    const port = member(member(status, 'local_address'), 'socket_address')?.['port_value']
    return typeof port === 'number' ? { admin, listener: { host: HOST, port } } : undefined
  } catch {
    // The file is not written yet, or nobody listens yet.
    return undefined
  }
}

function member(message: Message | undefined, field: string): Message | undefined {
  const value = message?.[field]
  return isMessage(value) ? value : undefined
}

export type Application = { readonly at: Endpoint; close(): Promise<void> }

/**
 * An application on a free port of loopback that answers every call with what reached it; with `tls`, to callers with a
 * certificate, whose names it adds as the header `x-peer`.
 */
export async function startApplication(
  service: string,
  tls?: { readonly cert: string; readonly key: string; readonly ca: string },
): Promise<Application> {
  const answer: RequestListener = ({ method = '', url = '', headers, socket }, response) => {
    const peer =
      socket instanceof TLSSocket ? { 'x-peer': socket.getPeerCertificate().subjectaltname ?? '' } : {}
    response.setHeader('content-type', 'application/json')
    response.end(
      JSON.stringify({ service, method, path: url, headers: { ...headers, ...peer } } satisfies Echo),
    )
  }
  const server = tls ? createTlsServer({ ...tls, requestCert: true }, answer) : createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the application does not listen')
  return {
    at: { host: HOST, port: address.port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
