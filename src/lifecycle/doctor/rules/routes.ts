import type { Ask } from '../asks.js'
import type { Examined } from '../examined.js'
import { levelsAt, levelsOf, type Level } from '../levels.js'
import { EXT_AUTHZ_PER_ROUTE } from '../message-types.js'
import { isThere, member, textOf, type Part } from '../part.js'
import type { Route } from '../setup.js'

/** The name of the target, in `context_extensions`. */
const TARGET = 'portcullis.service'

/** Every place that sets something for the filter, and each route with the places above it. */
export function routes({ asks, portcullis, tell }: Examined): void {
  const told = new Set<unknown>()
  for (const ask of asks) {
    const config = ask.http?.routes
    if (!config) continue
    const above = levelsAt(ask.filter, config.part, config.where)
    for (const level of above) tellLevel(level, ask, portcullis, tell, told)
    for (const host of config.hosts) {
      const outer = [...above, ...levelsAt(ask.filter, host.part, host.where)]
      for (const level of outer.slice(above.length)) tellLevel(level, ask, portcullis, tell, told)
      const unnamed: Route[] = []
      for (const route of host.routes) {
        const own = levelsOf(ask.filter, route)
        // What Envoy answers itself reaches no service.
        const isSent = isThere(member(route.part, 'route'))
        for (const level of own) if (isSent || !level.off) tellLevel(level, ask, portcullis, tell, told)
        tellOverridden(outer, own, tell)
        const isSaid = [...outer, ...own].some((level) => level.off || targetOf(level) !== '')
        if (isSent && !isSaid) unnamed.push(route)
      }
      if (!ask.mutual) tellUnnamed(ask, host, unnamed, tell)
    }
  }
}

function tellLevel(
  { holder, where, key, settings, off }: Level,
  ask: Ask,
  portcullis: ReadonlySet<string>,
  tell: Examined['tell'],
  told: Set<unknown>,
): void {
  // Several listeners may have the same routes.
  const identity = `${holder.source.name}\0${holder.pointer.join('\0')}\0${key}`
  if (told.has(identity)) return
  told.add(identity)
  const called = holderName(where)
  if (off) {
    const at = member(settings, 'disabled')
    tell({
      severity: 'error',
      code: 'route-disabled',
      message: 'ext_authz is disabled here',
      why: 'What takes this route passes undecided, and there are more ways to write a path than one.',
      where,
      at: isThere(at) ? at : member(holder, 'typed_per_filter_config', key),
      fix: { into: holder, called, set: { typed_per_filter_config: { [key]: null } } },
    })
    return
  }
  const check = member(settings, 'check_settings')
  const [grpc, http] = [member(check, 'grpc_service'), member(check, 'http_service')]
  const cluster = textOf(member(grpc, 'envoy_grpc', 'cluster_name'))
  const elsewhere = isThere(http) || (isThere(grpc) && cluster !== ask.cluster && !portcullis.has(cluster))
  if (!elsewhere) return
  tell({
    severity: 'error',
    code: 'route-asks-elsewhere',
    message: `another server is asked here${cluster === '' ? '' : `: ${cluster}`}`,
    why: 'Portcullis does not decide about what takes this route.',
    where,
    at: isThere(http) ? http : grpc,
    fix: {
      into: check,
      called: `check_settings of ${called}`,
      set: isThere(http) ? { http_service: null } : { grpc_service: null },
    },
  })
}

function tellOverridden(outer: readonly Level[], own: readonly Level[], tell: Examined['tell']): void {
  const above = outer.findLast((level) => targetOf(level) !== '')
  if (!above) return
  const service = targetOf(above)
  for (const level of own) {
    const target = targetOf(level)
    if (target === '' || target === service) continue
    const extensions = member(level.settings, 'check_settings', 'context_extensions')
    tell({
      severity: 'warning',
      code: 'service-overridden',
      message: `${TARGET} is ${target} here and ${service} above`,
      why: 'Envoy takes the inner one: who may call this route is decided by the policy of another service.',
      where: level.where,
      at: member(extensions, TARGET),
      fix: { into: extensions, called: 'context_extensions', set: { [TARGET]: service } },
    })
  }
}

function tellUnnamed(
  { filter }: Ask,
  host: { readonly part: Part; readonly where: string; readonly routes: readonly Route[] },
  unnamed: readonly Route[],
  tell: Examined['tell'],
): void {
  const all = unnamed.length > 1 && unnamed.length === host.routes.length
  for (const { part, where, clusters } of all ? [{ ...host, clusters: [] }] : unnamed) {
    const service = clusters[0] ?? 'service'
    tell({
      severity: 'warning',
      code: 'service-unnamed',
      message: `nothing names the service that ${all ? 'these routes are' : 'this route is'} for`,
      why: `The listener's certificate names none. Without ${TARGET} only \`routes\` of a ServicePolicy can, and what they do not cover is refused as target-unknown.`,
      where,
      at: part,
      fix: {
        into: part,
        called: holderName(where),
        set: {
          typed_per_filter_config: {
            [filter.name]: {
              '@type': `type.googleapis.com/${EXT_AUTHZ_PER_ROUTE}`,
              check_settings: { context_extensions: { [TARGET]: `namespace/${service}` } },
            },
          },
        },
      },
    })
  }
}

const targetOf = ({ settings }: Level): string =>
  textOf(member(settings, 'check_settings', 'context_extensions', TARGET))

/** The innermost name. */
const holderName = (where: string): string => where.split(', ').at(-1) ?? where
