import { httpFilter, networkFilter } from '../as-shipped.js'
import { askingChains, looksAtCertificates, reachOf, type Ask } from '../asks.js'
import type { Examined } from '../examined.js'
import type { Fix } from '../finding.js'
import { HTTP_EXT_AUTHZ } from '../message-types.js'
import { flagOf, items, member, textOf } from '../part.js'
import type { Chain, Filter } from '../setup.js'
import { typedConfig } from '../typed.js'

/** Nobody asks Portcullis at all. */
export function noExtAuthz({ setup, asks, tell, portcullis }: Examined): void {
  if (asks.length > 0) return
  const chains = setup.listeners.filter(({ outbound }) => !outbound).flatMap((each) => each.chains)
  const chain = chains.find(({ listener }) => listener.open) ?? chains[0]
  const cluster = [...portcullis][0] ?? 'portcullis'
  const elsewhere = setup.listenersElsewhere
    ? ' The listeners come from elsewhere (lds_config): give the config_dump, or --admin.'
    : ''
  tell({
    severity: 'error',
    code: 'no-ext-authz',
    message: `no ext_authz filter asks ${portcullis.size > 0 ? `the cluster ${[...portcullis].join(', ')}` : 'Portcullis'}`,
    why: `Every call passes undecided.${elsewhere}`,
    where: chain?.where ?? 'everywhere',
    at: chain?.part ?? setup.root,
    fix: chain
      ? askBefore(chain, undefined, cluster)
      : {
          into: setup.root,
          called: 'HTTP connection manager',
          set: { http_filters: [httpFilter(cluster, true)] },
        },
  })
}

/** A way around: a chain that doesn't ask and leads where another one asks first, or to this host's own application. */
export function unaskedListeners({ setup, asks, tell }: Examined): void {
  if (asks.length === 0) return
  const asking = askingChains(asks)
  const guarded = new Set([...asking].flatMap((chain) => reachOf(chain) ?? []))
  const chains = setup.listeners.flatMap((each) => each.chains)
  for (const chain of chains) {
    if (asking.has(chain) || !chain.listener.open || chain.listener.outbound) continue
    // One that is there and switched off is told as that.
    if (asks.some((ask) => ask.chain === chain)) continue
    // A cluster without hosts is where calls end.
    const reach = (reachOf(chain) ?? []).filter((name) => setup.clusters.get(name)?.hosts?.length !== 0)
    const around = reach.find((cluster) => guarded.has(cluster))
    if (around === undefined && reach.length === 0) continue
    const [ask] = asks
    tell({
      severity: around === undefined ? 'warning' : 'error',
      code: 'unasked-listener',
      message: `this chain leads to ${around ?? reach[0]} and does not ask Portcullis`,
      why:
        around === undefined
          ? 'Others can reach the listener, and whoever does passes undecided.'
          : 'Another chain asks before it lets anybody there: this one is a way around.',
      where: chain.where,
      at: chain.part,
      fix: askBefore(
        chain,
        asks.find(({ http }) => (http !== undefined) === (chain.http !== undefined)),
        ask?.cluster ?? '',
      ),
    })
  }
}

/** An upgrade may have filters of its own, in place of the others. */
export function unaskedUpgrades({ asks, tell }: Examined): void {
  for (const { http, filter } of asks) {
    if (!http) continue
    for (const upgrade of items(member(http.part, 'upgrade_configs'))) {
      const filters = items(member(upgrade, 'filters'))
      if (filters.length === 0 || filters.some((each) => typedConfig(each).type === HTTP_EXT_AUTHZ)) continue
      const type = textOf(member(upgrade, 'upgrade_type'))
      tell({
        severity: 'error',
        code: 'unasked-upgrade',
        message: `the filters for ${type || 'this upgrade'} do not ask Portcullis`,
        why: 'They take the place of http_filters, so a call that asks for the upgrade passes undecided.',
        where: http.where,
        at: member(upgrade, 'filters'),
        fix: {
          into: upgrade,
          called: `upgrade_configs, ${type}`,
          set: {
            filters: [filter.entry.value, ...named(filters.map((each) => textOf(member(each, 'name'))))],
          },
        },
      })
    }
  }
}

/** Puts the filter before all others; `ask` is one that asks elsewhere, to be copied. */
function askBefore(chain: Chain, ask: Ask | undefined, cluster: string): Fix {
  const { http, filters } = chain
  const mutual = isForWorkloads(chain)
  const copied = ask?.mutual === mutual ? ask.filter.entry.value : undefined
  if (http) {
    const set = { http_filters: [copied ?? httpFilter(cluster, mutual), ...namesOf(http.filters)] }
    return { into: http.part, called: 'HTTP connection manager', set }
  }
  const set = { filters: [copied ?? networkFilter(cluster, mutual), ...namesOf(filters)] }
  return { into: chain.part, called: 'filter chain', set }
}

/** Who comes without TLS is a workload, unless the chain takes its clients for users. */
function isForWorkloads(chain: Chain): boolean {
  if (chain.transport.kind !== 'plain') return looksAtCertificates(chain)
  return chain.http === undefined || flagOf(member(chain.http.part, 'use_remote_address')) !== true
}

const namesOf = (filters: readonly Filter[]): object[] => named(filters.map(({ name }) => name))

const named = (names: readonly string[]): object[] => names.map((name) => ({ name }))
