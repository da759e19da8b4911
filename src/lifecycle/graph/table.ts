import { type BlastRadius, type Reached } from './blast-radius.js'
import { type CallGraph, type GraphCall } from './call-graph.js'

/** Who can call whom as lines of text: a caller, then what it calls. */
export function writeTable(graph: CallGraph): string {
  const { services, calls } = graph
  const lines = [`${counted(services.length, 'service')}, ${counted(calls.length, 'call')} between them`]
  const callersOf = new Map<number, number>()
  for (const { to } of calls) callersOf.set(to, (callersOf.get(to) ?? 0) + 1)
  const rows = new Map<number, GraphCall[]>()
  for (const call of calls) {
    const row = rows.get(call.from)
    if (row) row.push(call)
    else rows.set(call.from, [call])
  }
  for (const [index, service] of services.entries()) {
    const row = rows.get(index) ?? []
    const width = Math.max(0, ...row.map(({ to }) => nameOf(graph, to).length))
    const mode = service.mode === 'Enforce' ? '' : `, ${service.mode}`
    lines.push('', `${service.id}  (calls ${row.length}, called by ${callersOf.get(index) ?? 0}${mode})`)
    for (const call of row) lines.push(`  → ${nameOf(graph, call.to).padEnd(width)}  ${wordsOf(call)}`)
  }
  if (calls.some(({ endpoints }) => endpoints.some(({ conditional }) => conditional))) {
    lines.push('', '? asks for more than who calls: a user, a scope or a condition')
  }
  lines.push(...openWords(graph))
  return `${lines.join('\n')}\n`
}

/** What can reach a service and what it can reach, each with the shortest way there. */
export function writeRadius(graph: CallGraph, radius: BlastRadius): string {
  const name = nameOf(graph, radius.service)
  const lines: string[] = []
  const others = graph.services.length - 1
  const list = (reached: readonly Reached[]): void => {
    for (const { path } of reached) {
      lines.push(
        `  ${String(path.length - 1).padStart(2)}  ${path.map((at) => nameOf(graph, at)).join(' → ')}`,
      )
    }
  }
  if (radius.in) {
    lines.push(`${radius.in.length} of ${counted(others, 'other service')} can reach ${name}`)
    list(radius.in)
  }
  if (radius.in && radius.out) lines.push('')
  if (radius.out) {
    lines.push(`${name} can reach ${radius.out.length} of ${counted(others, 'other service')}`)
    list(radius.out)
  }
  lines.push(...openWords(graph))
  return `${lines.join('\n')}\n`
}

function openWords({ openToAll }: CallGraph): string[] {
  return openToAll.length === 0
    ? []
    : ['', `left out: the baseline lets anyone in by ${openToAll.join(', ')}`]
}

function nameOf({ services }: CallGraph, index: number): string {
  return services[index]?.id ?? ''
}

function wordsOf({ endpoints, baseline }: GraphCall): string {
  return [
    ...endpoints.map(({ name, conditional }) => `${name}${conditional ? '?' : ''}`),
    ...baseline.map((name) => `(baseline ${name})`),
  ].join(', ')
}

function counted(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? '' : 's'}`
}
