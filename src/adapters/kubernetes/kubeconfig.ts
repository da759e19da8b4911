import { dirname, resolve } from 'node:path'
import { formatProblem } from '../../schema/problem.js'
import { valueAt } from '../../schema/shape.js'
import { parseYamlDocuments } from '../../schema/strict-yaml.js'
import { type Credentials, type FoundAccess, readText } from './access.js'

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]'])

/**
 * Access by the current context of a kubeconfig: a token, a token file or a client certificate. Programs that fetch
 * credentials are not run, and a server that is not verified is not asked. Source: Kubernetes, kubeconfig v1.
 */
export async function ofKubeconfig(path: string): Promise<FoundAccess> {
  const fail = (problem: string): FoundAccess => ({ ok: false, problem: `${path}: ${problem}` })
  let text: string
  try {
    text = await readText(path)
  } catch (error) {
    return { ok: false, problem: error instanceof Error ? error.message : String(error) }
  }
  const { documents, problems } = parseYamlDocuments(path, text)
  const [problem] = problems
  if (problem) return { ok: false, problem: formatProblem(problem) }
  const root = documents[0]?.value
  const current = valueAt(root, ['current-context'])
  if (typeof current !== 'string' || current === '') return fail('`current-context` is missing')
  const context = named(root, 'contexts', current, 'context')
  if (context === undefined) return fail(`there is no context \`${current}\``)
  const names = [valueAt(context, ['cluster']), valueAt(context, ['user'])]
  const cluster = named(root, 'clusters', names[0], 'cluster')
  const user = named(root, 'users', names[1], 'user')
  if (cluster === undefined || user === undefined) {
    return fail(`the context \`${current}\` names a cluster or a user that is not there`)
  }
  for (const [part, name] of REFUSED) {
    const value = valueAt(part === 'cluster' ? cluster : user, [name])
    if (value !== undefined && value !== false) return fail(`\`${name}\` is not supported`)
  }
  const address = textAt(cluster, 'server')
  if (address === undefined || !URL.canParse(address)) return fail('`server` is no URL')
  const server = new URL(address)
  if (server.protocol !== 'https:' && !(server.protocol === 'http:' && LOOPBACK.has(server.hostname))) {
    return fail('`server` must be https, or http of a loopback host')
  }
  return {
    ok: true,
    access: { server, credentials: () => readCredentials(cluster, user, dirname(resolve(path))) },
  }
}

const REFUSED = [
  ['cluster', 'insecure-skip-tls-verify'],
  ['cluster', 'proxy-url'],
  ['user', 'exec'],
  ['user', 'auth-provider'],
  ['user', 'username'],
  ['user', 'as'],
] as const

async function readCredentials(cluster: unknown, user: unknown, folder: string): Promise<Credentials> {
  const part = async (from: unknown, name: string): Promise<string | undefined> => {
    const data = textAt(from, `${name}-data`)
    if (data !== undefined) return Buffer.from(data, 'base64').toString('utf8')
    const file = textAt(from, name)
    return file === undefined ? undefined : readText(resolve(folder, file))
  }
  const tokenFile = textAt(user, 'tokenFile')
  return {
    ca: await part(cluster, 'certificate-authority'),
    token:
      tokenFile === undefined ? textAt(user, 'token') : (await readText(resolve(folder, tokenFile))).trim(),
    certificate: await part(user, 'client-certificate'),
    key: await part(user, 'client-key'),
    serverName: textAt(cluster, 'tls-server-name'),
  }
}

function named(root: unknown, list: string, name: unknown, inner: string): unknown {
  const entries = valueAt(root, [list])
  const found: unknown = Array.isArray(entries)
    ? entries.find((entry: unknown) => valueAt(entry, ['name']) === name)
    : undefined
  return valueAt(found, [inner])
}

function textAt(value: unknown, name: string): string | undefined {
  const text = valueAt(value, [name])
  return typeof text === 'string' && text !== '' ? text : undefined
}
