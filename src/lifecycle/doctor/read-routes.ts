import { entries, isThere, items, member, textOf, type Part } from './part.js'
import type { Route, RouteConfig } from './setup.js'

export function readRouteConfig(part: Part): RouteConfig {
  const name = textOf(member(part, 'name'))
  const where = `route configuration ${name || 'without name'}`
  const hosts = items(member(part, 'virtual_hosts')).map((host) => {
    const at = `${where}, virtual host ${textOf(member(host, 'name'))}`
    const routes = items(member(host, 'routes')).map((route, index) => readRoute(route, index, at))
    return { part: host, where: at, routes }
  })
  return { part, name, where, hosts }
}

function readRoute(part: Part, index: number, host: string): Route {
  const name = textOf(member(part, 'name'))
  const [how, match] = entries(member(part, 'match'))[0] ?? ['', undefined]
  const words = match && textOf(match) !== '' ? `${how} ${textOf(match)}` : how
  const called = name !== '' ? name : `${index + 1}${words === '' ? '' : ` (${words})`}`
  return { part, where: `${host}, route ${called}`, clusters: destinations(member(part, 'route')) }
}

/** Clusters that an action of a route, or a TCP proxy, may send to; those that a header names are not known. */
export function destinations(action: Part): readonly string[] {
  const weighted = items(member(action, 'weighted_clusters', 'clusters'))
  const mirrors = items(member(action, 'request_mirror_policies'))
  return [
    textOf(member(action, 'cluster')),
    ...weighted.map((each) => textOf(member(each, 'name'))),
    ...mirrors.map((each) => textOf(member(each, 'cluster'))),
  ].filter((name) => name !== '')
}

/** What a filter's own settings are at a place: route, virtual host, route configuration, weighted cluster. */
export function settingsOf(part: Part): readonly (readonly [filter: string, settings: Part])[] {
  return entries(member(part, 'typed_per_filter_config')).filter(([, settings]) => isThere(settings))
}
