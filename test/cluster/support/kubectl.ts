import { execFile, spawn } from 'node:child_process'
import { promisify } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'
import { createInterface } from 'node:readline'

const run = promisify(execFile)
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024

export type Output = { readonly stdout: string; readonly stderr: string }

/** Runs kubectl against the cluster that KUBECONFIG names. Throws what it wrote to standard error when it fails. */
export async function kubectl(args: readonly string[], input?: string): Promise<Output> {
  const running = run('kubectl', args, { maxBuffer: MAX_OUTPUT_BYTES, timeout: 180_000 })
  running.child.stdin?.on('error', () => undefined)
  running.child.stdin?.end(input)
  try {
    return await running
  } catch (error) {
    const { stderr = '' } = error as { stderr?: string }
    throw new Error(`kubectl ${args.join(' ')}: ${stderr.trim() || String(error)}`, { cause: error })
  }
}

export async function apply(...objects: readonly object[]): Promise<Output> {
  const list = { apiVersion: 'v1', kind: 'List', items: objects }
  return kubectl(
    ['apply', '--server-side', '--force-conflicts', '--validate=strict', '-f', '-'],
    JSON.stringify(list),
  )
}

export async function getJson<T>(args: readonly string[]): Promise<T> {
  const { stdout } = await kubectl(['get', '-o', 'json', ...args])
  const parsed: T = JSON.parse(stdout)
  return parsed
}

export type Pod = {
  readonly metadata: {
    readonly name: string
    readonly deletionTimestamp?: string
    readonly labels: Readonly<Record<string, string>>
  }
  readonly status: {
    readonly phase: string
    readonly podIP?: string
    readonly conditions?: readonly { readonly type: string; readonly status: string }[]
  }
}

/** Those that are not on their way out. */
export async function podsOf(namespace: string, label: string): Promise<readonly Pod[]> {
  const { items } = await getJson<{ items: readonly Pod[] }>(['pods', '-n', namespace, '-l', label])
  return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
}

export function isReady({ status }: Pod): boolean {
  return status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false
}

export async function onePodOf(namespace: string, label: string): Promise<string> {
  const pod = (await podsOf(namespace, label)).find(isReady)
  if (!pod) throw new Error(`no pod ${label} in ${namespace} is ready`)
  return pod.metadata.name
}

/** Tries until it is so; what it throws meanwhile counts as not yet. */
export async function until(what: string, limitMs: number, isSo: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + limitMs
  let last = ''
  for (;;) {
    try {
      if (await isSo()) return
      last = ''
    } catch (error) {
      last = `: ${String(error)}`
    }
    if (Date.now() > end) {
      throw new Error(`waited ${limitMs / 1000} s in vain for ${what}${last}`)
    }
    await sleep(200)
  }
}

export type Following = { stop(): void }

/** A kubectl that goes on until stopped; starts anew when it ends. `onLine` gets its standard output. */
export function follow(args: () => readonly string[], onLine: (line: string) => void): Following {
  let isStopped = false
  let child: ReturnType<typeof spawn> | undefined
  const start = (): void => {
    if (isStopped) return
    const running = spawn('kubectl', args(), { stdio: ['ignore', 'pipe', 'ignore'] })
    child = running
    createInterface({ input: running.stdout }).on('line', (line) => {
      if (!isStopped) onLine(line)
    })
    running.once('close', () => setTimeout(start, 500))
  }
  start()
  return {
    stop() {
      isStopped = true
      child?.kill('SIGTERM')
    },
  }
}
