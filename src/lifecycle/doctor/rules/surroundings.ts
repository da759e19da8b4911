import { hostOf, isLocal } from '../addresses.js'
import type { Examined } from '../examined.js'
import { HTTP_GRPC_LOG, TCP_GRPC_LOG, TCP_PROXY } from '../message-types.js'
import { isThere, items, member, textOf, wordOf } from '../part.js'
import { typedConfig } from '../typed.js'

/** Envoy's own interface: it shows the configuration, and stops Envoy. */
export function openAdmin({ setup, tell }: Examined): void {
  for (const admin of setup.admins) {
    const address = member(admin, 'address')
    const host = hostOf(address)
    if (!isThere(address) || isLocal(host)) continue
    tell({
      severity: 'error',
      code: 'open-admin',
      message: `the admin interface listens at ${host}`,
      why: 'It asks for no credentials. Whoever reaches it reads the configuration, changes the runtime and stops Envoy.',
      where: 'admin',
      at: address,
      fix: { into: admin, called: 'admin', set: { address: { socket_address: { address: '127.0.0.1' } } } },
    })
  }
}

const API_VERSIONS = ['AUTO', 'V2', 'V3']

/** The log in which Portcullis is told what became of calls. */
export function accessLogs({ asks, setup, portcullis, tell }: Examined): void {
  const seen = new Set<unknown>()
  for (const { chain, http, cluster } of asks) {
    if (seen.has(chain)) continue
    seen.add(chain)
    const holders = http
      ? [http.part]
      : chain.filters.filter(({ type }) => type === TCP_PROXY).map((each) => each.message)
    for (const log of holders.flatMap((holder) => items(member(holder, 'access_log')))) {
      const { type, message } = typedConfig(log)
      if (type !== HTTP_GRPC_LOG && type !== TCP_GRPC_LOG) continue
      const config = member(message, 'common_config')
      const at = member(config, 'grpc_service', 'envoy_grpc', 'cluster_name')
      const name = textOf(at)
      const isOurs = textOf(member(config, 'log_name')) === 'portcullis' || portcullis.has(name)
      if (!isOurs) continue
      const into = { into: config, called: 'common_config of the access log' }
      if (name !== cluster) {
        const isKnown = setup.clusters.has(name) || setup.clustersElsewhere
        tell({
          severity: 'warning',
          code: 'access-log',
          message: `the access log for Portcullis goes to ${name || 'no cluster'}, and ${cluster} is asked`,
          why: isKnown
            ? 'Only the Portcullis that decided knows the decision that an entry is about: what became of the calls is lost.'
            : 'There is no such cluster, and Envoy refuses the configuration.',
          where: http?.where ?? chain.where,
          at,
          fix: { ...into, set: { grpc_service: { envoy_grpc: { cluster_name: cluster } } } },
        })
      }
      const version = member(config, 'transport_api_version')
      if (wordOf(version, API_VERSIONS) === 'V3') continue
      tell({
        severity: 'warning',
        code: 'access-log',
        message: 'transport_api_version of the access log for Portcullis is not V3',
        why: 'Envoy sends it in a version that Portcullis does not speak, or refuses the configuration.',
        where: http?.where ?? chain.where,
        at: version,
        fix: { ...into, set: { transport_api_version: 'V3' } },
      })
    }
  }
}
