import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type Authority,
  createAuthority,
  generateKeys,
  type Issued,
  type KeyPair,
} from '../test/support/certificate-authority.js'
import { subjectAltName } from '../test/support/certificate-writer.js'

export const TRUST_DOMAIN = 'cluster.local'

/** The certificates of one mesh, made anew for each run and valid for an hour. */
export type Pki = {
  /** Root and the intermediate that issues. Everybody's trust bundle. */
  readonly bundlePem: string
  readonly rootPem: string
  /** X509-SVID of `ns/<namespace>/sa/<name>`; always the same one for a name. */
  svid(workload: string): Issued
  /** A fresh one for the same workload, for rotation; with these DNS names beside its SPIFFE ID. */
  renewedSvid(workload: string, dnsNames?: readonly string[]): Issued
  /** The same name, but issued by a root that nobody here trusts. */
  foreignSvid(workload: string): Issued
  /** The same name, valid until a minute ago. */
  expiredSvid(workload: string): Issued
  /** The gateway's own certificate for users, of a root of its own. */
  readonly web: Issued & { readonly rootPem: string }
}

const HOUR_SECONDS = 3600

/**
 * `hidden` workloads get their SVIDs from an intermediate that is in nobody's bundle, so only the chain that
 * they present, or that Envoy passes on as `Chain`, leads to the root.
 */
export function createPki(webHost: string, hidden: ReadonlySet<string> = new Set()): Pki {
  const root = createAuthority({ name: 'Demo Root', trustDomain: TRUST_DOMAIN })
  const issuing = createAuthority({ name: 'Demo Issuing 1', intermediateOf: root, pathLength: 0 })
  const unlisted = createAuthority({ name: 'Demo Issuing 2', intermediateOf: root, pathLength: 0 })
  const foreign = createAuthority({ name: 'Foreign Root', trustDomain: TRUST_DOMAIN })
  const webRoot = createAuthority({ name: 'Demo Web Root' })
  const issue = (authority: Authority, workload: string, dnsNames: readonly string[] = []): Issued =>
    authority.issueSvid({ spiffeId: spiffeIdOf(workload), ttlSeconds: HOUR_SECONDS, dnsNames })
  const issuerOf = (workload: string): Authority => (hidden.has(workload) ? unlisted : issuing)
  const svids = new Map<string, Issued>()
  return {
    bundlePem: root.certificatePem + issuing.certificatePem,
    rootPem: root.certificatePem,
    svid(workload) {
      const known = svids.get(workload)
      if (known) return known
      const svid = issue(issuerOf(workload), workload)
      svids.set(workload, svid)
      return svid
    },
    renewedSvid: (workload, dnsNames) => issue(issuerOf(workload), workload, dnsNames),
    foreignSvid: (workload) => issue(foreign, workload),
    expiredSvid(workload) {
      const now = Date.now()
      return issuing.issueSvid({
        spiffeId: spiffeIdOf(workload),
        notBefore: new Date(now - HOUR_SECONDS * 1000),
        notAfter: new Date(now - 60_000),
      })
    },
    web: {
      ...webRoot.issue({
        subject: [['CN', webHost]],
        extensions: () => [subjectAltName([{ dns: webHost }])],
      }),
      rootPem: webRoot.certificatePem,
    },
  }
}

/** `shop/payment-service` is `spiffe://cluster.local/ns/shop/sa/payment-service`. */
export function spiffeIdOf(workload: string): string {
  const [namespace, name] = workload.split('/')
  return `spiffe://${TRUST_DOMAIN}/ns/${namespace}/sa/${name}`
}

/** RSA, as identity providers have and as the HS256 attack needs. */
export function tokenKeys(): KeyPair {
  return generateKeys('rsa-2048')
}

/** Lays an SVID, its key and the bundle where the shipped configuration looks, each file swapped in whole. */
export function writeIdentity(directory: string, svid: Issued, bundlePem: string): void {
  mkdirSync(directory, { recursive: true })
  const files = [
    ['svid.pem', svid.chainPem],
    ['svid.key', svid.keyPem],
    ['bundle.pem', bundlePem],
  ] as const
  for (const [name, text] of files) writeFileSync(join(directory, `${name}.new`), text, { mode: 0o600 })
  for (const [name] of files) renameSync(join(directory, `${name}.new`), join(directory, name))
}
