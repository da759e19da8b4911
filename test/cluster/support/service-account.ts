import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { kubectl } from './kubectl.js'

/** A service account whose rights are tried: asked for, and by requests with a token of its own. */
export type TriedAccount = {
  /** What the API server says about a right. */
  may(right: Right): Promise<boolean>
  /** A real request; `forbidden` when the API server refuses it for the lack of a right. Throws on any other failure. */
  request(args: readonly string[], input?: string): Promise<'done' | 'forbidden'>
  close(): void
}

export type Right = {
  readonly verb: string
  /** With a group, as in `servicepolicies.portcullis.dev`; `/status` and the like as subresource. */
  readonly resource: string
  readonly subresource?: string
  /** Undefined: every namespace. */
  readonly namespace?: string
}

type ClientConfig = {
  readonly clusters: readonly { readonly cluster: object }[]
}

export async function tryAccount(namespace: string, name: string): Promise<TriedAccount> {
  const token = (await kubectl(['create', 'token', name, '-n', namespace, '--duration=10m'])).stdout.trim()
  const { stdout } = await kubectl(['config', 'view', '--raw', '--minify', '--flatten', '-o', 'json'])
  const { clusters }: ClientConfig = JSON.parse(stdout)
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'tried', cluster: clusters[0]?.cluster }],
    users: [{ name: 'tried', user: { token } }],
    contexts: [{ name: 'tried', context: { cluster: 'tried', user: 'tried', namespace } }],
    'current-context': 'tried',
  }
  const directory = mkdtempSync(join(tmpdir(), 'portcullis-account-'))
  const file = join(directory, 'kubeconfig')
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 })
  return {
    async may({ verb, resource, subresource, namespace: within }) {
      const [plural = '', ...group] = resource.split('.')
      const review = {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectAccessReview',
        spec: {
          resourceAttributes: {
            verb,
            resource: plural,
            group: group.join('.'),
            subresource,
            namespace: within,
          },
        },
      }
      const answer = await kubectl(
        ['--kubeconfig', file, 'create', '--validate=false', '-f', '-', '-o', 'jsonpath={.status.allowed}'],
        JSON.stringify(review),
      )
      return answer.stdout === 'true'
    },
    async request(args, input) {
      try {
        await kubectl(['--kubeconfig', file, ...args], input)
        return 'done'
      } catch (error) {
        if (/\(Forbidden\)|is forbidden: User/.test(String(error))) return 'forbidden'
        throw error
      }
    },
    close: () => rmSync(directory, { recursive: true }),
  }
}
