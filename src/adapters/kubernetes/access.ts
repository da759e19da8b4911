import { open } from 'node:fs/promises'
import { join } from 'node:path'

/** How an API server knows us, and we it. PEM texts; undefined: none, the system's roots, the host's own name. */
export type Credentials = {
  readonly ca: string | undefined
  readonly token: string | undefined
  readonly certificate: string | undefined
  readonly key: string | undefined
  readonly serverName: string | undefined
}

export type Access = {
  readonly server: URL
  /** Reads them anew, since tokens are replaced every hour. Throws with the name of the file. */
  readonly credentials: () => Promise<Credentials>
}

export type FoundAccess =
  { readonly ok: true; readonly access: Access } | { readonly ok: false; readonly problem: string }

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'
const MAX_BYTES = 1024 * 1024

/** Access of a pod's service account. Source: Kubernetes, "Accessing the Kubernetes API from a Pod". */
export function inCluster(
  env: Readonly<Record<string, string | undefined>>,
  directory: string = SERVICE_ACCOUNT,
): FoundAccess {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = env
  if (host === undefined || host === '') {
    return { ok: false, problem: 'no pod of Kubernetes: KUBERNETES_SERVICE_HOST is not set' }
  }
  const address = `https://${host.includes(':') ? `[${host}]` : host}:${port}`
  if (!URL.canParse(address)) {
    return { ok: false, problem: 'KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are no address' }
  }
  return {
    ok: true,
    access: {
      server: new URL(address),
      credentials: async () => ({
        ca: await readText(join(directory, 'ca.crt')),
        token: (await readText(join(directory, 'token'))).trim(),
        certificate: undefined,
        key: undefined,
        serverName: undefined,
      }),
    },
  }
}

/** Throws with the path where it can't be read, or is larger than 1 MiB. */
export async function readText(path: string): Promise<string> {
  try {
    const file = await open(path)
    try {
      const { size } = await file.stat()
      if (size > MAX_BYTES) throw new Error(`it has ${size} bytes`)
      return await file.readFile('utf8')
    } finally {
      await file.close()
    }
  } catch (error) {
    throw new Error(`${path} can't be read: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    })
  }
}
