import type { CallGraph, GraphCall } from './call-graph.js'

/** One service that is reached, over the fewest calls. Numbers are of the graph's services. */
export type Reached = {
  readonly service: number
  /** From the service asked about to this one (out), or from this one to it (in); both ends included. */
  readonly path: readonly number[]
}

export const DIRECTIONS = ['in', 'out', 'both'] as const
export type Direction = (typeof DIRECTIONS)[number]

export type BlastRadius = {
  readonly service: number
  /** What can reach it, over any number of calls; the nearest first. Undefined where not asked for. */
  readonly in: readonly Reached[] | undefined
  /** What it can reach. */
  readonly out: readonly Reached[] | undefined
}

/** How far a service's compromise reaches, and from where it can be reached. Linear in the calls of the graph. */
export function blastRadius(graph: CallGraph, service: number, direction: Direction): BlastRadius {
  const walk = (from: keyof Pick<GraphCall, 'from' | 'to'>, to: 'from' | 'to'): Reached[] => {
    const next = new Map<number, number[]>()
    for (const call of graph.calls) {
      const known = next.get(call[from])
      if (known) known.push(call[to])
      else next.set(call[from], [call[to]])
    }
    const cameFrom = new Map<number, number>([[service, service]])
    const queue = [service]
    for (const at of queue) {
      for (const found of next.get(at) ?? []) {
        if (cameFrom.has(found)) continue
        cameFrom.set(found, at)
        queue.push(found)
      }
    }
    return queue.slice(1).map((reached) => {
      const path = [reached]
      for (let at = reached; at !== service;) {
        at = cameFrom.get(at) ?? service
        path.push(at)
      }
      return { service: reached, path: from === 'from' ? path.toReversed() : path }
    })
  }
  return {
    service,
    in: direction === 'out' ? undefined : walk('to', 'from'),
    out: direction === 'in' ? undefined : walk('from', 'to'),
  }
}

/** The part of the graph that a blast radius touches, with every call between its services. */
export function withinRadius(graph: CallGraph, radius: BlastRadius): CallGraph {
  const kept = new Set([radius.service])
  for (const reached of [...(radius.in ?? []), ...(radius.out ?? [])]) kept.add(reached.service)
  const order = [...kept].sort((a, b) => a - b)
  const numbers = new Map(order.map((service, index) => [service, index]))
  return {
    ...graph,
    services: order.flatMap((service) => graph.services[service] ?? []),
    calls: graph.calls.flatMap((call) => {
      const [from, to] = [numbers.get(call.from), numbers.get(call.to)]
      return from === undefined || to === undefined ? [] : [{ ...call, from, to }]
    }),
  }
}
