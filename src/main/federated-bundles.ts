import { readFileBounded } from '../adapters/files.js'
import { type EndpointProfile, FederationEndpoint } from '../adapters/federation.js'
import type { BundleSource } from '../config/trust.js'
import { verifyPresentedChain, type LeafVerdict } from '../identity/peer-certificate.js'
import { parseJwksBundle, type ParsedTrustBundle, parseTrustBundle } from '../identity/trust-bundle.js'
import { MAX_BUNDLE_BYTES } from './bundle-files.js'
import { StartFailure } from './log.js'
import type { TrustState } from './trust-state.js'

export type FederatedSource = Extract<BundleSource, { kind: 'HttpsWeb' | 'HttpsSpiffe' }>

export type FederationSurroundings = {
  readonly state: TrustState
  readonly nowMs: () => number
  /** Why a verified endpoint is refused all the same: revoked; undefined when it isn't. */
  readonly refusal: (verdict: Extract<LeafVerdict, { ok: true }>) => string | undefined
}

/**
 * A trust domain's bundle from its federation endpoint; nothing is fetched before `start`. Throws StartFailure when a
 * file that it needs can't be read. The bootstrap file proves the endpoint until its first answer, read anew for each
 * attempt, and is trusted in nothing else. A bundle with a lower sequence than the one in force is refused.
 */
export async function openFederation(
  trustDomain: string,
  source: FederatedSource,
  surroundings: FederationSurroundings,
): Promise<FederationEndpoint> {
  const { state, nowMs } = surroundings
  const profile = await profileOf(trustDomain, source, surroundings)
  return new FederationEndpoint({
    url: source.url,
    profile,
    now: nowMs,
    accept: (text) => {
      const parsed = parseJwksBundle(text)
      if (!parsed.ok) return parsed
      const { sequence, refreshHintSeconds } = parsed.bundle
      const before = state.bundles.get(trustDomain)?.sequence
      if (before !== undefined && (sequence === undefined || sequence < before)) {
        const found =
          sequence === undefined ? 'it has no spiffe_sequence' : `its spiffe_sequence ${sequence} is older`
        return { ok: false, problem: `${found}, and ${before} is in force` }
      }
      state.acceptJwtKeys(trustDomain, text)
      state.accept(trustDomain, parsed.bundle)
      return { ok: true, refreshHintSeconds }
    },
    failed: (problem) => state.fail(trustDomain, `${source.url}: ${problem}`),
  })
}

async function profileOf(
  trustDomain: string,
  source: FederatedSource,
  { state, nowMs, refusal }: FederationSurroundings,
): Promise<EndpointProfile> {
  const named = `trust bundle of ${trustDomain}`
  if (source.kind === 'HttpsWeb') {
    if (source.caFile === undefined) return { kind: 'HttpsWeb', ca: undefined }
    const ca = await readFileBounded(source.caFile, MAX_BUNDLE_BYTES)
    if (!ca.ok) throw new StartFailure([`${named}: ca: ${ca.problem}`])
    return { kind: 'HttpsWeb', ca: ca.bytes.toString() }
  }
  const { bootstrapFile, endpointId } = source
  if (bootstrapFile !== undefined) {
    const read = await readBootstrap(bootstrapFile)
    if (!read.ok) throw new StartFailure([`${named} (${bootstrapFile}): ${read.problem}`])
  }
  return {
    kind: 'HttpsSpiffe',
    verify: async (chain) => {
      const fetched = state.bundles.get(trustDomain)
      const read = fetched || bootstrapFile === undefined ? undefined : await readBootstrap(bootstrapFile)
      if (read && !read.ok) return read.problem
      const own = fetched ?? read?.bundle
      const bundles = { get: (name: string) => (name === trustDomain ? own : state.bundles.get(name)) }
      const verdict = await verifyPresentedChain(chain, bundles, nowMs())
      if (!verdict.ok) return verdict.message
      if (verdict.spiffeId.text !== endpointId) return `it is ${verdict.spiffeId.text}`
      return refusal(verdict)
    },
  }
}

async function readBootstrap(path: string): Promise<ParsedTrustBundle> {
  const content = await readFileBounded(path, MAX_BUNDLE_BYTES)
  return content.ok ? parseTrustBundle(content.bytes) : content
}
