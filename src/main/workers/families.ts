import type { Family } from '../../adapters/telemetry/family.js'

/** Families of several processes as one list: every series says by its label `worker` whose it is. */
export function mergedFamilies(processes: ReadonlyMap<string, readonly Family[]>): Family[] {
  const merged = new Map<string, Family>()
  for (const [worker, families] of processes) {
    for (const family of families) {
      const own = labelled(family, worker)
      const before = merged.get(family.name)
      merged.set(family.name, before ? joined(before, own) : own)
    }
  }
  return [...merged.values()]
}

function labelled(family: Family, worker: string): Family {
  const { name, help } = family
  const own = { worker }
  if (family.type === 'histogram') {
    const series = family.series.map((each) => ({ ...each, labels: { ...each.labels, ...own } }))
    return { name, help, type: family.type, series }
  }
  const samples = family.samples.map(({ labels, value }) => ({ labels: { ...labels, ...own }, value }))
  return { name, help, type: family.type, samples }
}

/** Two processes of one version call a metric the same only where it is the same. */
function joined(left: Family, right: Family): Family {
  if (left.type === 'histogram' && right.type === 'histogram') {
    return { ...left, series: [...left.series, ...right.series] }
  }
  if (left.type !== 'histogram' && right.type !== 'histogram') {
    return { ...left, samples: [...left.samples, ...right.samples] }
  }
  throw new Error(`metric ${left.name} is of two types`)
}
