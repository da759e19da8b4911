import { X509Certificate } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { createPoster } from '../../adapters/audit-http/post.js'
import { createHttpSink } from '../../adapters/audit-http/sink.js'
import { openSpool, type Spool } from '../../adapters/audit-http/spool.js'
import { type SpoolKey, spoolKeyOf } from '../../adapters/audit-http/spool-file.js'
import { lockDirectory } from '../../adapters/embedded-store/directory-lock.js'
import { readFileBounded } from '../../adapters/files.js'
import type { EventSink } from '../../audit/event-sink.js'
import type { HttpSinkConfig } from '../../config/audit.js'
import { type Log, messageOf, StartFailure } from '../log.js'
import { tokenFile } from '../token-file.js'
import type { SinkSurroundings } from './surroundings.js'

const BACKOFF = { firstMs: 500, mostMs: 60_000 }
/** How long after a failure of its disk a spool is tried again. */
const SPOOL_AGAIN_MS = 5000
const MAX_FILE_BYTES = 1024 * 1024
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g

type OpenSpool = { readonly spool: Spool; readonly letGo: () => Promise<void> }

/** Throws StartFailure with every problem of its files and its spool. */
export async function openHttpSink(
  config: HttpSinkConfig,
  { name, render, log, nowMs }: SinkSurroundings,
): Promise<EventSink> {
  const problems: string[] = []
  const noting = async <T>(opening: () => T | Promise<T>): Promise<T | undefined> => {
    try {
      return await opening()
    } catch (error) {
      if (!(error instanceof StartFailure)) throw error
      problems.push(...error.problems)
      return undefined
    }
  }
  const token = await noting(() =>
    config.tokenFile === undefined ? undefined : tokenFile(config.tokenFile, `${name}: tokenFile`),
  )
  const ca = await noting(() => authoritiesOf(config, name))
  const key = await noting(() => keyOf(config, name))
  if (problems.length > 0) throw new StartFailure(problems)
  const opened = await spoolOf(config, name, key, log)

  const { url, timeoutMs, buffer, flushIntervalMs, batchEvents, batchBytes } = config
  let drained: Promise<void> | undefined
  const sink = createHttpSink({
    name,
    render,
    buffer,
    flushIntervalMs,
    batchEvents,
    batchBytes,
    poster: createPoster({ url, token, ca, timeoutMs, nowMs }),
    spool: opened?.spool,
    backoff: BACKOFF,
    spoolAgainMs: SPOOL_AGAIN_MS,
    random: Math.random,
    tell: (level, message, fields) => log(level, `${name}: ${message}`, fields),
  })
  return {
    ...sink,
    drain: (withinMs) => (drained ??= sink.drain(withinMs).then(() => opened?.letGo())),
  }
}

async function authoritiesOf({ caFile }: HttpSinkConfig, name: string): Promise<string | undefined> {
  if (caFile === undefined) return undefined
  const text = await readText(caFile, `${name}: caFile`)
  const certificates = text.match(CERTIFICATE) ?? []
  if (certificates.length === 0) throw new StartFailure([`${name}: caFile: ${caFile} holds no certificate`])
  for (const pem of certificates) {
    try {
      readCertificate(pem)
    } catch (error) {
      throw new StartFailure([`${name}: caFile: ${caFile}: ${messageOf(error)}`])
    }
  }
  return text
}

/** Throws where it is none. */
function readCertificate(pem: string): X509Certificate {
  return new X509Certificate(pem)
}

/** Undefined: the spool is in plain, or there is none. */
async function keyOf({ spool }: HttpSinkConfig, name: string): Promise<SpoolKey | undefined> {
  if (spool?.keyFile === undefined) return undefined
  const key = spoolKeyOf(await readText(spool.keyFile, `${name}: spool.keyFile`))
  if (key) return key
  throw new StartFailure([`${name}: spool.keyFile: ${spool.keyFile} does not hold 64 hexadecimal digits`])
}

async function spoolOf(
  { spool }: HttpSinkConfig,
  name: string,
  key: SpoolKey | undefined,
  log: Log,
): Promise<OpenSpool | undefined> {
  if (!spool) return undefined
  const { directory, maxBytes } = spool
  const refuse = (problem: string): StartFailure => new StartFailure([`${name}: spool.directory: ${problem}`])
  let letGo: OpenSpool['letGo']
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    letGo = await lockDirectory(directory)
  } catch (error) {
    throw refuse(messageOf(error))
  }
  const opened = await openSpool({ directory, maxBytes, key })
  if (!opened.ok) {
    await letGo()
    throw refuse(opened.problem)
  }
  if (opened.leftOver > 0) {
    log('warn', `${name}: unfinished files of the spool were removed`, { files: opened.leftOver })
  }
  return { spool: opened.spool, letGo }
}

async function readText(path: string, option: string): Promise<string> {
  const read = await readFileBounded(path, MAX_FILE_BYTES)
  if (!read.ok) throw new StartFailure([`${option}: ${read.problem}`])
  return read.bytes.toString('utf8')
}
