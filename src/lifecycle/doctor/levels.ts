import { EXT_AUTHZ_PER_ROUTE, FILTER_CONFIG } from './message-types.js'
import { flagOf, isThere, items, member, textOf, type Part } from './part.js'
import { settingsOf } from './read-routes.js'
import type { Filter, HttpConnections, Route } from './setup.js'
import { typed } from './typed.js'

/** What one level of routing sets for the filter. */
export type Level = {
  /** Of the route configuration, virtual host, route or weighted cluster. */
  readonly holder: Part
  readonly where: string
  /** Under which name. */
  readonly key: string
  readonly settings: Part
  readonly off: boolean
}

/** Of a route and the clusters among which it chooses. */
export function levelsOf(filter: Filter, { part, where }: Route): Level[] {
  const weighted = items(member(part, 'route', 'weighted_clusters', 'clusters'))
  return [
    ...levelsAt(filter, part, where),
    ...weighted.flatMap((each) =>
      levelsAt(filter, each, `${where}, cluster ${textOf(member(each, 'name'))}`),
    ),
  ]
}

export function levelsAt(filter: Filter, holder: Part, where: string): Level[] {
  return settingsOf(holder).flatMap(([key, value]) => {
    const outer = typed(value)
    const wrapped = outer.type === FILTER_CONFIG
    const { type, message } = wrapped ? typed(member(outer.message, 'config')) : outer
    if (key !== filter.name && type !== EXT_AUTHZ_PER_ROUTE) return []
    const off =
      flagOf(member(message, 'disabled')) === true ||
      (wrapped && flagOf(member(outer.message, 'disabled')) === true)
    return [{ holder, where, key, settings: message, off }]
  })
}

/** Routes to a service for which none of these filters, all disabled until something switches them on, is on. */
export function routesLeftOff(http: HttpConnections, filters: readonly Filter[]): readonly Route[] {
  const isOn = (levels: readonly Level[]): boolean => levels.length > 0 && levels.every(({ off }) => !off)
  const config = http.routes
  return (config?.hosts ?? []).flatMap((host) =>
    host.routes.filter(
      (route) =>
        isThere(member(route.part, 'route')) &&
        !filters.some((filter) =>
          isOn(
            [
              ...(config ? levelsAt(filter, config.part, config.where) : []),
              ...levelsAt(filter, host.part, host.where),
              ...levelsOf(filter, route),
            ].filter(({ key }) => key === filter.name),
          ),
        ),
    ),
  )
}
