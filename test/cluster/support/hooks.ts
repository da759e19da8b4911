import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { kubectl, until } from './kubectl.js'

/** Commands of whoever made the cluster stop a part of it, because clusters differ in this; each gives what starts it again. */
export type Hook = () => Promise<() => Promise<void>>

function hookOf(stop: string, start: string): Hook | undefined {
  const [stopping, starting] = [process.env[stop], process.env[start]]
  if (stopping === undefined || starting === undefined) return undefined
  return async () => {
    await shell(stopping)
    return () => shell(starting)
  }
}

async function shell(command: string): Promise<void> {
  await promisify(execFile)('sh', ['-c', command], { timeout: 60_000 })
}

export const stopApi = hookOf('CLUSTER_STOP_API', 'CLUSTER_START_API')
export const stopKubelet = hookOf('CLUSTER_STOP_KUBELET', 'CLUSTER_START_KUBELET')

/** How long the API server is kept away, milliseconds. */
export const AWAY_MS = 20_000

export async function apiIsBack(): Promise<void> {
  await until(
    'the API server',
    60_000,
    async () => (await kubectl(['get', '--raw', '/readyz'])).stdout === 'ok',
  )
}
