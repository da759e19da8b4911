import { isIPv4 } from 'node:net'
import { type Command, Option } from 'commander'
import { readFileBounded } from '../../adapters/files.js'

export type ConnectionOptions = {
  readonly server?: string
  readonly tokenFile?: string
  readonly ca?: string
  readonly clientCertificate?: string
  readonly clientKey?: string
}

/** Where the admin API is and what is shown to it. The token is a secret: it goes into one header and nowhere else. */
export type Connection = {
  readonly secure: boolean
  /** As `host:port`, for messages. */
  readonly name: string
  readonly host: string
  readonly port: number
  readonly token: string | undefined
  readonly ca: Buffer | undefined
  readonly certificate: Buffer | undefined
  readonly key: Buffer | undefined
}

export type Opened =
  { readonly ok: true; readonly connection: Connection } | { readonly ok: false; readonly problem: string }

export const DEFAULT_SERVER = 'http://127.0.0.1:9192'
const MAX_TOKEN_BYTES = 4096
const MAX_PEM_BYTES = 4 * 1024 * 1024

/** Gives every command of a group the options of the connection, below its own. A token is only ever taken from a file. */
export function addConnectionOptions(group: Command): void {
  for (const command of group.commands) {
    for (const [flags, description] of CONNECTION_OPTIONS) {
      command.addOption(new Option(flags, description).helpGroup('Connection:'))
    }
  }
}

const CONNECTION_OPTIONS = [
  ['--server <url>', `the admin API; else PORTCULLIS_SERVER, else ${DEFAULT_SERVER}`],
  ['--token-file <file>', 'file that holds your token; else PORTCULLIS_TOKEN_FILE'],
  ['--ca <file>', "PEM: who may vouch for the server; else the system's"],
  ['--client-certificate <file>', 'PEM: shown to the server in place of a token'],
  ['--client-key <file>', 'PEM: its private key'],
] as const

type Environment = Readonly<Record<string, string | undefined>>

/** Reads the files that the options and the environment name. Nothing is sent. */
export async function openConnection(options: ConnectionOptions, env: Environment): Promise<Opened> {
  const address = parseServer(options.server ?? (env['PORTCULLIS_SERVER'] || DEFAULT_SERVER))
  if (typeof address === 'string') return { ok: false, problem: address }
  const { ca, clientCertificate, clientKey } = options
  if ((clientCertificate === undefined) !== (clientKey === undefined)) {
    return { ok: false, problem: '--client-certificate and --client-key go together' }
  }
  if (!address.secure && (ca !== undefined || clientCertificate !== undefined)) {
    return {
      ok: false,
      problem: `--ca and --client-certificate need an https:// server, not http://${address.name}`,
    }
  }
  const tokenFile = options.tokenFile ?? (env['PORTCULLIS_TOKEN_FILE'] || undefined)
  if (tokenFile === undefined && clientCertificate === undefined) {
    return {
      ok: false,
      problem:
        'say who you are: --token-file <file> (or PORTCULLIS_TOKEN_FILE), or --client-certificate and --client-key',
    }
  }
  const token = tokenFile === undefined ? undefined : await readToken(tokenFile)
  if (token && !token.ok) return token
  const pems: (Buffer | undefined)[] = []
  for (const file of [ca, clientCertificate, clientKey]) {
    const read = file === undefined ? undefined : await readFileBounded(file, MAX_PEM_BYTES)
    if (read && !read.ok) return read
    pems.push(read?.bytes)
  }
  const [caPem, certificate, key] = pems
  return { ok: true, connection: { ...address, token: token?.text, ca: caPem, certificate, key } }
}

type Address = Pick<Connection, 'secure' | 'name' | 'host' | 'port'>

/** The address, or what is wrong with it. */
function parseServer(text: string): Address | string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.hostname === '') {
    return '--server is no http:// or https:// URL, for example https://portcullis.example:9192'
  }
  if (url.username !== '' || url.password !== '')
    return '--server holds a password; credentials come from files only'
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') {
    return `--server names more than host and port: ${url.host}${url.pathname}`
  }
  const secure = url.protocol === 'https:'
  if (!secure && !isLoopback(url.hostname)) {
    return `http://${url.host} would show your token to everybody on the way; use https:// (plain http:// goes to loopback only)`
  }
  return {
    secure,
    name: url.host,
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: Number(url.port) || (secure ? 443 : 80),
  }
}

/** `URL` has made every spelling of an address its usual one. */
function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || (isIPv4(hostname) && hostname.startsWith('127.'))
}

type ReadToken =
  { readonly ok: true; readonly text: string } | { readonly ok: false; readonly problem: string }

async function readToken(file: string): Promise<ReadToken> {
  const read = await readFileBounded(file, MAX_TOKEN_BYTES)
  if (!read.ok) return read
  const text = read.bytes.toString('utf8').trim()
  if (/^[\x21-\x7e]+$/.test(text)) return { ok: true, text }
  return { ok: false, problem: `${file} holds no token: one line without spaces is expected` }
}
