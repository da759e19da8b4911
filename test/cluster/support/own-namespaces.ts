import { kubectl } from './kubectl.js'

/** Throws where one of them is there: whoever runs the suite may have something in it. */
export async function refuseExisting(names: readonly string[]): Promise<void> {
  const { stdout } = await kubectl(['get', 'namespace', ...names, '--ignore-not-found', '-o', 'name'])
  const there = stdout.trim().split('\n').filter(Boolean)
  if (there.length > 0) {
    throw new Error(`${there.join(', ')} is on this cluster already; the suite makes and removes it`)
  }
}

/** With Pod Security as strict as it gets, and warnings about what it would refuse. */
export function restricted(name: string, labels: Readonly<Record<string, string>> = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name,
      labels: {
        'pod-security.kubernetes.io/enforce': 'restricted',
        'pod-security.kubernetes.io/warn': 'restricted',
        ...labels,
      },
    },
  }
}

/** Pods get one second instead of the time that they ask for: nobody calls them any more. */
export async function removeNamespaces(names: readonly string[]): Promise<void> {
  await kubectl(['delete', 'namespace', ...names, '--ignore-not-found', '--wait=false'])
  for (const name of names) {
    await kubectl(['delete', 'pods', '--all', '-n', name, '--grace-period=1', '--wait=false'])
  }
  await kubectl(['delete', 'namespace', ...names, '--ignore-not-found', '--wait=true'])
}
