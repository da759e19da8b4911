/** Where a route leads. */
export type Route<T> = {
  readonly service: T
  /** '' or a path without trailing slash that begins the route's prefix. */
  readonly strip: string
}

type Host<T> = { readonly prefixes: Map<string, Route<T>>; maxSegments: number }

/** Services by host and path prefix of whole segments; the longest prefix wins. */
export class RouteIndex<T> {
  readonly #hosts = new Map<string, Host<T>>()

  /** `prefix` is '' for every path, else without trailing slash. */
  get(host: string, prefix: string): Route<T> | undefined {
    return this.#hosts.get(host)?.prefixes.get(prefix)
  }

  set(host: string, prefix: string, route: Route<T>): void {
    let known = this.#hosts.get(host)
    if (!known) this.#hosts.set(host, (known = { prefixes: new Map(), maxSegments: 0 }))
    known.prefixes.set(prefix, route)
    known.maxSegments = Math.max(known.maxSegments, prefix.split('/').length - 1)
  }

  find(host: string, path: string): Route<T> | undefined {
    const known = this.#hosts.get(host)
    if (!known) return undefined
    let end = endOfSegment(path, known.maxSegments)
    for (;;) {
      const route = known.prefixes.get(path.slice(0, end))
      if (route || end <= 0) return route
      end = path.lastIndexOf('/', end - 1)
    }
  }
}

/** Where the first `count` segments of a path end. */
function endOfSegment(path: string, count: number): number {
  let end = 0
  for (let segment = 0; segment < count; segment++) {
    const slash = path.indexOf('/', end + 1)
    if (slash < 0) return path.length
    end = slash
  }
  return end
}

/** The path behind a route: what endpoints are matched on. */
export function stripped(path: string, strip: string): string {
  if (strip === '') return path
  return path.length === strip.length ? '/' : path.slice(strip.length)
}
