import { readFileBounded, watchPaths } from '../adapters/files.js'
import type { ListenerConfig, TlsFiles, TlsSource } from '../config/config.js'
import { compileSpiffePattern, parseSpiffeId } from '../identity/spiffe-id.js'
import type { LiveAgent } from './live-agent.js'
import { type Log, messageOf, StartFailure } from './log.js'

const MAX_PEM_BYTES = 1024 * 1024
const SETTLE_MS = 100

/** What a listener presents and whom it takes, as PEM texts. */
export type TlsMaterial = {
  readonly certificate: string
  readonly key: string
  readonly clientCa: string | undefined
}

/** What a listener needs to know of its certificate, which changes while it runs. */
export type LiveTls = {
  readonly material: TlsMaterial
  /** Who may ask, by SPIFFE ID; undefined: every client whose certificate is trusted. */
  readonly allowedClients: ((spiffeId: string) => boolean) | undefined
}

/** Time for an agent to hand out the first SVID: registrations take a while to reach it. */
const FIRST_SVID_MS = 10_000

/**
 * What a listener presents at first. Throws StartFailure where an agent gives no SVID in time: a listener without
 * its certificate can't serve.
 */
export async function openTls(
  { name, tls }: ListenerConfig,
  files: ReadonlyMap<string, TlsMaterial>,
  agents: ReadonlyMap<string, LiveAgent>,
): Promise<LiveTls | undefined> {
  if (!tls) return undefined
  const allowed = compileAllowedClients(tls.allowedClients)
  if (tls.kind === 'files') {
    const material = files.get(name)
    if (!material) throw new Error(`the certificate of listener ${name} was not read`)
    return { material, allowedClients: allowed }
  }
  const agent = agentOf(tls.target, agents)
  const identity = await agent.identity(FIRST_SVID_MS)
  if (!identity) {
    const problem = agent.health.problem ?? 'it gives none'
    throw new StartFailure([`listener ${name}: no SVID from the SPIFFE agent ${tls.target}: ${problem}`])
  }
  // One CA may sign for several trust domains; this bundle vouches for its own.
  const own = `spiffe://${identity.trustDomain}/`
  return {
    material: identity.material,
    allowedClients: (spiffeId) => spiffeId.startsWith(own) && (allowed?.(spiffeId) ?? true),
  }
}

function agentOf(target: string, agents: ReadonlyMap<string, LiveAgent>): LiveAgent {
  const agent = agents.get(target)
  if (!agent) throw new Error(`the agent ${target} was not opened`)
  return agent
}

/** By listener name, of listeners with files. Throws StartFailure naming every listener and file that can't be read. */
export async function readAllTls(
  listeners: readonly ListenerConfig[],
): Promise<ReadonlyMap<string, TlsMaterial>> {
  const materials = new Map<string, TlsMaterial>()
  const problems: string[] = []
  for (const { name, tls } of listeners) {
    if (tls?.kind !== 'files') continue
    try {
      materials.set(name, await readTls(name, tls))
    } catch (error) {
      if (!(error instanceof StartFailure)) throw error
      problems.push(...error.problems)
    }
  }
  if (problems.length > 0) throw new StartFailure(problems)
  return materials
}

async function readTls(name: string, tls: TlsFiles): Promise<TlsMaterial> {
  const problems: string[] = []
  const read = async (option: string, path: string): Promise<string> => {
    const file = await readFileBounded(path, MAX_PEM_BYTES)
    if (file.ok) return file.bytes.toString()
    problems.push(`listener ${name}, tls.${option}: ${file.problem}`)
    return ''
  }
  const material = {
    certificate: await read('certificate', tls.certificate),
    key: await read('key', tls.key),
    clientCa: tls.clientCa === undefined ? undefined : await read('clientCa', tls.clientCa),
  }
  if (problems.length > 0) throw new StartFailure(problems)
  return material
}

/** Who may ask: SPIFFE ID patterns of the configuration. Undefined: every client whose certificate is trusted. */
function compileAllowedClients(
  patterns: readonly string[] | undefined,
): ((spiffeId: string) => boolean) | undefined {
  if (patterns === undefined) return undefined
  const compiled = patterns.map((text) => {
    const pattern = compileSpiffePattern(text)
    if (!pattern.ok) throw new Error(`allowedClients ${text} passed the checks`)
    return pattern
  })
  return (text) => {
    const parsed = parseSpiffeId(text)
    return parsed.ok && compiled.some((pattern) => pattern.matches(parsed.id))
  }
}

/** Tells of every change of what a listener presents; what `update` throws is logged and changes nothing. */
export function watchTls(
  name: string,
  tls: TlsSource,
  agents: ReadonlyMap<string, LiveAgent>,
  update: (material: TlsMaterial) => void,
  log: Log,
): { close(): void } {
  if (tls.kind === 'files') return watchTlsFiles(name, tls, update, log)
  const agent = agentOf(tls.target, agents)
  const rotation = agent.onRotation(update)
  // Whatever came between the listener's start and now.
  if (agent.health.svid) update(agent.health.svid.material)
  return rotation
}

/** Reads the files again when one changes; certificate and key that don't fit each other change nothing. */
function watchTlsFiles(
  name: string,
  tls: TlsFiles,
  update: (material: TlsMaterial) => void,
  log: Log,
): { close(): void } {
  const reread = async (): Promise<void> => {
    try {
      update(await readTls(name, tls))
      log('info', 'listener certificate changed', { listener: name })
    } catch (error) {
      log('error', 'listener certificate refused, the old one stays', {
        listener: name,
        problem: messageOf(error),
      })
    }
  }
  const paths = [tls.certificate, tls.key, ...(tls.clientCa === undefined ? [] : [tls.clientCa])]
  return watchPaths(paths, () => void reread(), { settleMs: SETTLE_MS })
}
