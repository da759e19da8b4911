import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js'
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions, type PeerCertificate } from 'node:tls'
import type { Echo } from './upstream.js'

/** The end of a call as its caller sees it. */
export type Answer = {
  /** An HTTP status, `grpc <code>`, `open` or `closed` for TCP, `tls: <alert>` where Envoy refused the handshake. */
  readonly status: string
  readonly decisionId: string | undefined
  readonly reason: string | undefined
  /** Response headers, or gRPC metadata, lower-case. */
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
  /** What reached the upstream. */
  readonly echo: Echo | undefined
  readonly durationMs: number
}

/** Where a connection goes and what it shows there. Without `tls` it is plain, as from an application to its sidecar. */
export type Way = {
  readonly host: string
  readonly port: number
  readonly tls?: {
    readonly ca: string
    readonly certificate?: string
    readonly key?: string
    readonly serverName: string
    /** The server's SPIFFE ID; without it, its DNS name counts. */
    readonly serverId?: string
  }
}

export type HttpRequest = {
  readonly method: string
  /** Sent byte for byte. */
  readonly path: string
  readonly host: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export type GrpcRequest = {
  /** `package.Service/Method`. */
  readonly method: string
  readonly host: string
  readonly headers?: Readonly<Record<string, string>>
}

const DEADLINE_MS = 5000

/** Never rejects: what goes wrong is the answer. */
export function callHttp(way: Way, { method, path, host, headers, body }: HttpRequest): Promise<Answer> {
  const startedMs = performance.now()
  const options: RequestOptions = {
    host: way.host,
    port: way.port,
    method,
    path,
    headers: {
      ...headers,
      host,
      ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
    },
    timeout: DEADLINE_MS,
    agent: false,
  }
  return new Promise((resolve) => {
    const onResponse = (response: IncomingMessage): void => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', (error) => resolve(broken(error, startedMs)))
      response.on('end', () => {
        const received = new Map(
          Object.entries(response.headers).map(([name, value]) => [name, String(value)]),
        )
        resolve(answer(String(response.statusCode), received, Buffer.concat(chunks).toString(), startedMs))
      })
    }
    const request = way.tls
      ? httpsRequest({ ...options, ...tlsOptions(way) }, onResponse)
      : httpRequest(options, onResponse)
    request.on('timeout', () => request.destroy(new Error('no answer in time')))
    request.on('error', (error) => resolve(broken(error, startedMs)))
    request.end(body)
  })
}

/** A unary gRPC call through a plain way. The messages are empty; the answer's bytes are the echo. */
export function callGrpc(way: Way, { method, host, headers }: GrpcRequest): Promise<Answer> {
  const startedMs = performance.now()
  const client = new Client(`${way.host}:${way.port}`, credentials.createInsecure(), {
    'grpc.default_authority': host,
    'grpc.enable_retries': 0,
  })
  const metadata = new Metadata()
  for (const [name, value] of Object.entries(headers ?? {})) metadata.set(name, value)
  const raw = (bytes: Buffer): Buffer => bytes
  return new Promise<Answer>((resolve) => {
    let received = new Map<string, string>()
    const call = client.makeUnaryRequest<Buffer, Buffer>(
      `/${method}`,
      raw,
      raw,
      Buffer.alloc(0),
      metadata,
      { deadline: Date.now() + DEADLINE_MS },
      (error: ServiceError | null, reply?: Buffer) => {
        if (error) received = new Map([...received, ...metadataEntries(error.metadata)])
        const body = error ? error.details : (reply?.toString() ?? '')
        resolve(answer(`grpc ${error?.code ?? 0}`, received, body, startedMs))
      },
    )
    call.on('metadata', (first) => (received = new Map(metadataEntries(first))))
  }).finally(() => client.close())
}

/** Opens a connection, sends a few bytes and sees whether they come back. */
export function callTcp(way: Way): Promise<Answer> {
  const startedMs = performance.now()
  return new Promise((resolve) => {
    const socket: Socket = way.tls ? connectTls(tlsOptions(way)) : connectTcp(way.port, way.host)
    const end = (status: string): void => {
      clearTimeout(late)
      socket.destroy()
      resolve(answer(status, new Map(), '', startedMs))
    }
    const late = setTimeout(() => end('no answer in time'), DEADLINE_MS)
    socket.on('data', () => end('open'))
    socket.on('error', (error: NodeJS.ErrnoException) =>
      end(error.code === 'ECONNRESET' ? 'closed' : describe(error)),
    )
    socket.on('close', () => end('closed'))
    socket.write('SELECT 1')
  })
}

/** For `node:tls`, `node:https` and `node:http2` alike. Throws where the way is plain. */
export function tlsOptions({ host, port, tls }: Way): ConnectionOptions {
  if (!tls) throw new Error('a plain way has no TLS options')
  return {
    host,
    port,
    ca: tls.ca,
    cert: tls.certificate,
    key: tls.key,
    servername: tls.serverName,
    minVersion: 'TLSv1.3',
    ...(tls.serverId === undefined
      ? {}
      : {
          checkServerIdentity: (_: string, peer: PeerCertificate) =>
            peer.subjectaltname === `URI:${tls.serverId}`
              ? undefined
              : new Error(`the server is ${peer.subjectaltname}`),
        }),
  }
}

function metadataEntries(metadata: Metadata): [string, string][] {
  return Object.entries(metadata.getMap()).map(([name, value]) => [name, String(value)])
}

function answer(
  status: string,
  headers: ReadonlyMap<string, string>,
  body: string,
  startedMs: number,
): Answer {
  const echo = readEcho(body)
  const seen = echo?.headers['x-portcullis-decision-id']
  return {
    status,
    headers,
    body,
    echo,
    decisionId: typeof seen === 'string' ? seen : headers.get('x-portcullis-decision-id'),
    reason: headers.get('x-portcullis-reason'),
    durationMs: performance.now() - startedMs,
  }
}

function broken(error: Error, startedMs: number): Answer {
  return answer(describe(error), new Map(), '', startedMs)
}

/** OpenSSL's `tlsv13 alert certificate required` and the like, shortened to the alert. */
function describe(error: NodeJS.ErrnoException): string {
  const alert = /alert ([a-z ]+?)(?::|$)/.exec(error.message)
  return alert ? `tls: ${alert[1]}` : (error.code ?? error.message)
}

function readEcho(body: string): Echo | undefined {
  if (!body.startsWith('{"service"')) return undefined
  const echo: Echo = JSON.parse(body)
  return echo
}
