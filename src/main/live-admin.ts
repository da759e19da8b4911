import { randomBytes } from 'node:crypto'
import { readFileBounded } from '../adapters/files.js'
import type { ShownCertificate } from '../admin/client-certificate.js'
import type { AdminPorts } from '../admin/ports.js'
import type { RecentDecisions } from '../admin/recent-decisions.js'
import { type AdminServer, type AdminServerOptions, startAdminServer } from '../admin/server.js'
import { hashTokens, type TokenHashes } from '../admin/tokens.js'
import { writeAdminEvent } from '../audit/admin-event.js'
import type { Lookups } from '../authorize.js'
import type { Config } from '../config/config.js'
import type { Eventually } from '../identity/eventually.js'
import { writeBreakGlassAlert } from '../grants/grant-alert.js'
import type { StateStore } from '../state/store.js'
import { decisionsPort } from './admin/decisions.js'
import { devicesPort } from './admin/devices.js'
import { logLevelPort } from './admin/log-level.js'
import { grantsPort } from './admin/grants.js'
import { inTurns } from './in-turns.js'
import { checkGrantTarget, explainPort, matrixAnswer, policyPort } from './admin/policy-views.js'
import { reviewPort } from './admin/review.js'
import { sessionsPort } from './admin/sessions.js'
import { quarantinePort, riskPort } from './admin/subjects.js'
import { found } from './admin/answers.js'
import type { LivePolicy } from './live-policy.js'
import { type LiveLog, type Log, messageOf, StartFailure } from './log.js'
import { type Watched, watched } from './watched.js'
import type { Others } from './workers/team.js'

const MAX_FILE_BYTES = 64 * 1024

export type AdminParts = {
  readonly store: Pick<StateStore, 'read' | 'commit' | 'documents' | 'claims'>
  readonly policy: LivePolicy
  readonly lookups: Pick<Lookups, 'recall' | 'locate' | 'signals'>
  /** Takes what must not be lost, or refuses it. */
  readonly record: (line: string, waitMs: number) => Eventually<'accepted' | 'refused'>
  /** Tells alert sinks: one line of JSON. */
  readonly tell: (line: string) => void
  readonly log: Log
  readonly liveLog: LiveLog
  /** Told of each certificate that the API presents, as PEM. */
  readonly noteCertificate: (pem: string) => void
  /** Whether a client's certificate is revoked by now. */
  readonly isRevoked: (certificate: ShownCertificate) => boolean
  /** Of this process. */
  readonly recent: RecentDecisions
  /** Undefined: this process answers alone. */
  readonly others: Others | undefined
  readonly nowMs: () => number
}

export type LiveAdmin = {
  readonly address: string
  close(): Promise<void>
}

/** Serves the admin API where it is configured. Throws StartFailure for files that can't be used. */
export async function openAdmin(config: Config, parts: AdminParts): Promise<LiveAdmin | undefined> {
  const { admin } = config
  if (!admin) return undefined
  const { log, nowMs } = parts
  const watches: Watched[] = []
  const close = (): void => {
    for (const watch of watches) watch.close()
  }
  let server: AdminServer | undefined
  try {
    let tokens: TokenHashes = []
    const readTokens = async (): Promise<void> => {
      const read = await tokensOf(admin.tokens)
      if (read.ok) tokens = read.tokens
      else if (!server) throw new StartFailure(read.problems)
      else {
        // A file that is gone takes its token away, and nobody else's change waits for it.
        tokens = read.sound
        log('warn', 'admin tokens: some are not taken, and whose they are has none', {
          problems: read.problems,
        })
      }
      server?.updateTokens(tokens)
    }
    const files = admin.tokens.map(({ file }) => file)
    if (files.length > 0) watches.push(await watched(files, readTokens, 'admin tokens', log))
    let tls: AdminServerOptions['tls']
    const readTls = async (): Promise<void> => {
      if (!admin.tls) return
      const read = await tlsOf(admin.tls)
      if ('problems' in read) {
        if (!server) throw new StartFailure(read.problems)
        log('error', 'admin certificate refused, the old one stays', { problems: read.problems })
        return
      }
      tls = read
      parts.noteCertificate(read.certificate)
      try {
        server?.updateTls(read)
      } catch (error) {
        log('error', 'admin certificate refused, the old one stays', { problem: messageOf(error) })
      }
    }
    if (admin.tls) {
      const { certificate, key, clientCa } = admin.tls
      const paths = [certificate, key, ...(clientCa === undefined ? [] : [clientCa])]
      watches.push(await watched(paths, readTls, 'admin certificate', log))
    }
    server = await startAdminServer({
      listen: admin.listen,
      tls,
      actors: { tokens, clients: admin.clients },
      ports: portsOf(config, parts),
      isRevoked: parts.isRevoked,
      nowMs,
      newId: () => randomBytes(12).toString('base64url'),
      warn: (message) => log('error', 'the admin API failed', { problem: message }),
    })
  } catch (error) {
    close()
    throw error instanceof StartFailure ? error : new StartFailure([`admin: ${messageOf(error)}`])
  }
  const running = server
  let closing: Promise<void> | undefined
  return {
    address: running.address,
    close: () => {
      closing ??= running.close().finally(close)
      return closing
    },
  }
}

function portsOf(config: Config, parts: AdminParts): AdminPorts {
  const { store, policy, lookups, record, tell, nowMs } = parts
  const [issuer, second] = config.userTokens.issuers
  const defaultIssuer = second ? undefined : issuer?.issuer
  const current = (): LivePolicy['current'] => policy.current
  const subjects = { store, risk: () => current().risk, nowMs }
  return {
    audit: (event, waitMs) => record(writeAdminEvent(event), waitMs),
    defaultIssuer,
    issuers: config.userTokens.issuers.map((each) => each.issuer),
    trustDomains: [...new Set([config.trustDomain, ...config.trustDomains.keys()])],
    decisions: decisionsPort(parts.recent, parts.others),
    explain: explainPort({
      policy: current,
      lookups,
      mappingOf: (name) => config.userTokens.issuers.find((each) => each.issuer === name),
      serviceTokenHeader: config.serviceTokens.header,
      defaultIssuer,
      nowMs,
    }),
    matrix: async () => found(await inTurns(matrixAnswer(current()))),
    policy: policyPort(policy),
    grants: grantsPort({
      store,
      limits: config.grants,
      checkTarget: (request) => checkGrantTarget(current(), request),
      alert: (grant) => {
        const line = writeBreakGlassAlert(grant, nowMs())
        // Whatever sinks there are: whoever watches the log sees it.
        parts.log('warn', 'a break-glass grant was created', { alert: JSON.parse(line) })
        tell(line)
      },
      review: reviewPort({ store, policy: current, nowMs }),
      nowMs,
    }),
    sessions: sessionsPort({ store, limits: () => current().adaptive.session, nowMs }),
    devices: devicesPort({ store, policy: () => current().device, nowMs }),
    risk: riskPort(subjects),
    quarantine: quarantinePort(subjects),
    logLevel: logLevelPort(parts.liveLog, parts.others),
  }
}

async function tokensOf(
  written: NonNullable<Config['admin']>['tokens'],
): Promise<ReturnType<typeof hashTokens>> {
  const texts = []
  const problems: string[] = []
  for (const { name, file, role } of written) {
    const read = await readFileBounded(file, MAX_FILE_BYTES)
    if (read.ok) texts.push({ name, role, text: read.bytes.toString() })
    else problems.push(`admin.tokens of ${name}: ${read.problem}`)
  }
  const hashed = hashTokens(texts)
  if (hashed.ok && problems.length === 0) return hashed
  return hashed.ok
    ? { ok: false, problems, sound: hashed.tokens }
    : { ok: false, problems: [...problems, ...hashed.problems], sound: hashed.sound }
}

async function tlsOf(
  files: NonNullable<NonNullable<Config['admin']>['tls']>,
): Promise<NonNullable<AdminServerOptions['tls']> | { readonly problems: readonly string[] }> {
  const problems: string[] = []
  const textOf = async (option: string, path: string): Promise<string> => {
    const read = await readFileBounded(path, MAX_FILE_BYTES)
    if (read.ok) return read.bytes.toString()
    problems.push(`admin.tls.${option}: ${read.problem}`)
    return ''
  }
  const certificate = await textOf('certificate', files.certificate)
  const key = await textOf('key', files.key)
  const clientCa = files.clientCa === undefined ? undefined : await textOf('clientCa', files.clientCa)
  return problems.length > 0 ? { problems } : { certificate, key, clientCa }
}
