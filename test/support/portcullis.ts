import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { PassThrough } from 'node:stream'
import * as grpc from '@grpc/grpc-js'
import { stringify } from 'yaml'
import { loadConfig } from '../../src/config/load.js'
import { type Running, start } from '../../src/main.js'
import { AUTHORIZATION, type CheckFields, type CheckReply, decodeReply, encodeCheck } from './envoy-wire.js'

/** A Portcullis in this process, on free loopback ports, with its files in a folder of its own. */
export type TestPortcullis = {
  readonly directory: string
  readonly running: Running
  /** Sends one Check to the listener of that name, the first one by default. */
  check(fields: CheckFields | Buffer, listener?: string, deadlineMs?: number): Promise<Answer>
  /** Writes a file below the folder. */
  write(name: string, text: string): Promise<void>
  /** Every security event so far. */
  events(): readonly SecurityEvent[]
  /** Everything written to standard output and to the operational log so far. */
  output(): { readonly events: string; readonly log: string }
  stop(): Promise<void>
}

export type SecurityEvent = Readonly<Record<string, unknown>>

export type Answer = {
  readonly outcome: 'allow' | 'deny'
  readonly httpStatus: number
  readonly reason: string
  readonly reply: CheckReply
  /** Header options by lower-case name, of whichever response it was. */
  readonly headers: ReadonlyMap<string, string>
}

/** Files by relative name; `configuration` is merged over a listener `mesh` on a free port; `prepare` lays other files. */
export async function startPortcullis(
  files: Readonly<Record<string, string>>,
  configuration: Readonly<Record<string, unknown>>,
  prepare: (directory: string) => Promise<void> = () => Promise.resolve(),
): Promise<TestPortcullis> {
  const directory = await mkdtemp(join(tmpdir(), 'portcullis-'))
  const write = async (name: string, text: string): Promise<void> => {
    await mkdir(dirname(join(directory, name)), { recursive: true })
    await writeFile(join(directory, name), text)
  }
  for (const [name, text] of Object.entries(files)) await write(name, text)
  await prepare(directory)
  const text = stringify({
    apiVersion: 'portcullis.dev/v1beta1',
    kind: 'Configuration',
    listeners: [{ name: 'mesh', address: '127.0.0.1:0' }],
    policy: { directory: './policy' },
    health: { listen: '' },
    ...configuration,
  })
  const loaded = loadConfig({ file: join(directory, 'portcullis.yaml'), text, env: {}, flags: {} })
  if ('problems' in loaded) throw new Error(JSON.stringify(loaded.problems, undefined, 1))
  const output = new PassThrough()
  const lines: string[] = []
  output.on('data', (chunk: Buffer) => lines.push(chunk.toString()))
  const logged: string[] = []
  const running = await start(loaded.config, { events: output, log: (line) => logged.push(line) })
  const clients = new Map<string, grpc.Client>()
  return {
    directory,
    running,
    write,
    check: async (fields, listener, deadlineMs = 5000) => {
      const address =
        listener === undefined
          ? running.listeners[0]
          : running.listeners.find((each) => each.name === listener)
      if (!address) throw new Error(`no listener ${listener}`)
      const client =
        clients.get(address.name) ?? new grpc.Client(address.address, grpc.credentials.createInsecure())
      clients.set(address.name, client)
      return readAnswer(
        await send(client, Buffer.isBuffer(fields) ? fields : encodeCheck(fields), deadlineMs),
      )
    },
    events: () =>
      lines
        .join('')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as SecurityEvent),
    output: () => ({ events: lines.join(''), log: logged.join('') }),
    stop: async () => {
      for (const client of clients.values()) client.close()
      await running.stop()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

function send(client: grpc.Client, message: Buffer, deadlineMs: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      AUTHORIZATION.path,
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
      message,
      { deadline: Date.now() + deadlineMs },
      (error, reply) => (error || !reply ? reject(error ?? new Error('no reply')) : resolve(reply)),
    )
  })
}

/** Throws when the reply has no status: Envoy would take that for an allow. */
export function readAnswer(bytes: Buffer): Answer {
  const reply = decodeReply(bytes)
  if (!reply.status) throw new Error('a CheckResponse without status')
  const allowed = reply.status.code === 0
  const options = (allowed ? reply.ok_response?.headers : reply.denied_response?.headers) ?? []
  const headers = new Map(
    options.map(({ header }) => [
      header.key,
      header.value === '' ? header.raw_value.toString() : header.value,
    ]),
  )
  return {
    outcome: allowed ? 'allow' : 'deny',
    httpStatus: allowed ? 200 : (reply.denied_response?.status?.code ?? 403),
    reason: headers.get('x-portcullis-reason') ?? 'allowed',
    reply,
    headers,
  }
}
