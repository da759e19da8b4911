import type { Way } from './propose.js'

/** Longest made of a path; the schema allows 253. */
const MAX_NAME = 120

/** Names that say what was seen, such as `get-orders-id`; none of them is taken. */
export function nameEndpoints(
  ways: readonly Way[],
  taken: ReadonlySet<string>,
): readonly { readonly name: string; readonly way: Way }[] {
  const used = new Set(taken)
  return ways.map((way) => {
    const wanted = nameOf(way)
    let name = wanted
    for (let number = 2; used.has(name); number++) name = `${wanted}-${number}`
    used.add(name)
    return { name, way }
  })
}

function nameOf({ paths, methods, grpc, protocol, ports }: Way): string {
  if (protocol === 'TCP') return `tcp-${ports?.join('-') ?? ''}`
  const [method] = grpc ?? []
  if (method !== undefined) return method.slice(method.indexOf('/') + 1)
  const words = (paths?.[0] ?? '')
    .split('/')
    .map((segment) => segment.replaceAll(/[^A-Za-z0-9._-]+/g, ''))
    .filter((segment) => segment !== '')
  const verb = protocol === 'WebSocket' ? 'socket' : (methods ?? []).join('-').toLowerCase()
  return [verb, ...(words.length > 0 ? words : ['root'])].join('-').slice(0, MAX_NAME)
}
