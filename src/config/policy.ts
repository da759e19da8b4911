import type { Pointer } from '../schema/problem.js'
import { DEFAULT_POLICY_DIRECTORY } from './policy-schema.js'
import type { EffectiveConfiguration } from './schema.js'

/** Policy from custom resources. */
export type KubernetesPolicyConfig = {
  /** Empty: every one. */
  readonly namespaces: readonly string[]
  /** Hosts by namespace; `*.` in front stands for one label or more. */
  readonly grants: ReadonlyMap<string, readonly string[]>
  /** Undefined: the pod's service account. */
  readonly kubeconfig: string | undefined
  /** False where another process tells what becomes of each resource. */
  readonly writesStatuses: boolean
}

/** Exactly one is there. */
export type PolicyConfig =
  | { readonly directory: string; readonly kubernetes: undefined }
  | { readonly directory: undefined; readonly kubernetes: KubernetesPolicyConfig }

/** `at` makes paths absolute. */
export function policyOf(
  { directory, kubernetes }: EffectiveConfiguration['policy'],
  at: (path: string) => string,
): PolicyConfig {
  if (!kubernetes) return { directory: at(directory ?? DEFAULT_POLICY_DIRECTORY), kubernetes: undefined }
  const { namespaces, grants, kubeconfig } = kubernetes
  return {
    directory: undefined,
    kubernetes: {
      namespaces,
      grants: new Map(Object.entries(grants)),
      kubeconfig: kubeconfig === undefined ? undefined : at(kubeconfig),
      writesStatuses: true,
    },
  }
}

/** Files and resources are never mixed, and a grant is for a namespace that is read. */
export function checkPolicy(
  { policy: { directory, kubernetes } }: EffectiveConfiguration,
  tell: (pointer: Pointer, code: string, message: string, what?: 'key' | 'value') => void,
): void {
  if (!kubernetes) return
  if (directory !== undefined) {
    const message = 'policy comes from `directory` or from `kubernetes`, never from both; take one out'
    tell(['policy', 'directory'], 'policy-twice', message, 'key')
  }
  const { namespaces, grants } = kubernetes
  for (const namespace of Object.keys(grants)) {
    const at = ['policy', 'kubernetes', 'grants', namespace]
    if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(namespace)) {
      tell(at, 'wrong-namespace', `\`${namespace}\` is no name of a namespace`, 'key')
    } else if (namespaces.length > 0 && !namespaces.includes(namespace)) {
      const message = `\`${namespace}\` is not among \`policy.kubernetes.namespaces\`, so nothing of it is read`
      tell(at, 'without-effect', message, 'key')
    }
  }
}
