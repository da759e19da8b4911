import { type CallGraph, isConditional } from './call-graph.js'

/** The graph in Graphviz's language: a cluster a namespace, dashed where every way is conditional. */
export function writeDot({ services, calls }: CallGraph, marked?: number): string {
  const lines = [
    'digraph calls {',
    '  rankdir=LR;',
    '  node [shape=box, style=rounded, fontname="sans-serif"];',
  ]
  const namespaces = [...new Set(services.map(({ namespace }) => namespace))]
  for (const [at, namespace] of namespaces.entries()) {
    lines.push(`  subgraph cluster_${at} {`, `    label=${quoted(namespace)};`)
    for (const [index, service] of services.entries()) {
      if (service.namespace !== namespace) continue
      lines.push(`    s${index} [label=${quoted(service.name)}${index === marked ? ', penwidth=3' : ''}];`)
    }
    lines.push('  }')
  }
  for (const call of calls) {
    const names = [...call.endpoints.map(({ name }) => name), ...call.baseline].join(', ')
    const style = isConditional(call) ? ', style=dashed' : ''
    lines.push(`  s${call.from} -> s${call.to} [tooltip=${quoted(names)}${style}];`)
  }
  return `${lines.join('\n')}\n}\n`
}

/** A quoted string, in which a backslash begins an escape. Source: Graphviz, The DOT Language. */
function quoted(text: string): string {
  const safe = text.replaceAll(/[\u0000-\u001f\u007f]/g, ' ').replaceAll('\\', '\\\\')
  return `"${safe.replaceAll('"', String.raw`\"`)}"`
}
