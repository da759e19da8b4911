import type { PolicyDocument } from '../src/segmentation/compile.js'

const NAMESPACES = 50

/**
 * A mesh of any size, the same for the same numbers: every service calls its share of others, two in three of
 * them through one endpoint, and names its callers in one rule, the last of `rules`. Service n is
 * `ns-(n mod 50)/service-n`.
 */
export function generateMesh(services: number, edges: number, rules = 1): PolicyDocument[] {
  const callers: string[][] = Array.from({ length: services }, () => [])
  const calls: { service: string; endpoints?: string[] }[][] = []
  for (let caller = 0; caller < services; caller++) {
    const degree = Math.min(
      services - 1,
      Math.floor(((caller + 1) * edges) / services) - Math.floor((caller * edges) / services),
    )
    const own: (typeof calls)[number] = []
    for (let edge = 0; edge < degree; edge++) {
      const target = targetOf(caller, edge, services)
      own.push(edge % 3 === 0 ? { service: idOf(target) } : { service: idOf(target), endpoints: ['Read'] })
      callers[target]?.push(idOf(caller))
    }
    calls.push(own)
  }
  return callers.map((names, index): PolicyDocument => {
    const [namespace = '', name = ''] = idOf(index).split('/')
    return {
      kind: 'ServicePolicy',
      metadata: { name, namespace },
      spec: {
        calls: calls[index] ?? [],
        endpoints: [
          { name: 'Read', paths: ['/api/items', '/api/items/{id}'], methods: ['GET'] },
          { name: 'Write', paths: ['/api/items'], methods: ['POST'], workloadScopes: ['items:write'] },
        ],
        rules: [
          ...othersThan(rules - 1),
          ...(names.length > 0
            ? [{ name: 'callers', from: [{ services: names }], grantScopes: ['items:write'] }]
            : []),
        ],
      },
      index,
      sourceOf: (pointer) => `mesh/${name}.yaml:${index % 90}:${pointer.length}`,
    }
  })
}

/** Rules that let nobody of the mesh in: each for a service account that no service has. */
function othersThan(
  count: number,
): Extract<PolicyDocument, { kind: 'ServicePolicy' }>['spec']['rules'] & object {
  return Array.from({ length: count }, (_, at) => ({
    name: `other-${at}`,
    from: [{ identities: [`spiffe://cluster.local/ns/ops/sa/robot-${at}`] }],
    to: [{ endpoints: ['Read'] }],
  }))
}

export function idOf(index: number): string {
  return `ns-${index % NAMESPACES}/service-${index}`
}

/** The target of the caller's edge of that number; no two edges of a caller meet, none leads back to it. */
export function targetOf(caller: number, edge: number, services: number): number {
  const stride = Math.max(1, Math.floor((services - 1) / 64))
  return (caller + 1 + ((edge * stride + Math.floor(edge / 64)) % (services - 1))) % services
}
