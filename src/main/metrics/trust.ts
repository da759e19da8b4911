import type { Metrics } from '../../adapters/telemetry/metrics.js'
import type { LiveTrust } from '../live-trust.js'
import type { BundleHealth } from '../trust-state.js'

/** Labels are trust domains, agents and files of the configuration, never names out of certificates. */
export function registerTrustMetrics(metrics: Metrics, trust: LiveTrust): void {
  const ofBundles = (read: (bundle: BundleHealth) => number | undefined) => () =>
    trust.health().bundles.flatMap((bundle) => {
      const value = read(bundle)
      return value === undefined ? [] : [{ labels: { trust_domain: bundle.trustDomain }, value }]
    })
  metrics.register({
    name: 'portcullis_trust_bundle_anchors',
    help: 'Roots in the bundle in force; 0 where nobody of the trust domain is believed.',
    type: 'gauge',
    read: ofBundles(({ anchors }) => anchors),
  })
  metrics.register({
    name: 'portcullis_trust_bundle_last_success_seconds',
    help: 'When its source last gave a bundle that could be used, since the epoch.',
    type: 'gauge',
    read: ofBundles(({ lastSuccessMs }) => lastSuccessMs && lastSuccessMs / 1000),
  })
  metrics.register({
    name: 'portcullis_trust_bundle_expiry_seconds',
    help: 'When the first root of the bundle in force expires, since the epoch.',
    type: 'gauge',
    read: ofBundles(({ firstExpiryMs }) => firstExpiryMs && firstExpiryMs / 1000),
  })
  metrics.register({
    name: 'portcullis_trust_bundle_sequence',
    help: 'spiffe_sequence of the bundle in force.',
    type: 'gauge',
    read: ofBundles(({ sequence }) => sequence),
  })
  metrics.register({
    name: 'portcullis_trust_problems',
    help: 'Bundles, SPIFFE agents and revocation lists that are not as they should be; /readyz names them.',
    type: 'gauge',
    read: () => trust.health().problems.length,
  })
  metrics.register({
    name: 'portcullis_own_svid_expiry_seconds',
    help: 'When the own SVID from a SPIFFE agent expires, since the epoch.',
    type: 'gauge',
    read: () =>
      trust
        .health()
        .agents.flatMap(({ target, svid }) =>
          svid ? [{ labels: { agent: target }, value: svid.notAfterMs / 1000 }] : [],
        ),
  })
  metrics.register({
    name: 'portcullis_revocation_list_next_update_seconds',
    help: 'When the first revocation list of a source expires, since the epoch; then it refuses everybody of its issuer.',
    type: 'gauge',
    read: () => {
      const first = new Map<string, number>()
      for (const { source, nextUpdateMs } of trust.health().lists) {
        first.set(source, Math.min(first.get(source) ?? Infinity, nextUpdateMs))
      }
      return [...first].map(([source, nextUpdateMs]) => ({ labels: { source }, value: nextUpdateMs / 1000 }))
    },
  })
}
