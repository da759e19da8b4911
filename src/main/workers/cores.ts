import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'

/**
 * Cores that this process may use: those that it may run on, or fewer where a control group grants less time than
 * that. At least 1; of a part of a core nothing is counted. `root`: where the file systems of control groups are.
 * Source: Linux, cgroups(7), cgroup-v2 "cpu.max", sched-bwc.
 */
export function availableCores(
  parallelism = availableParallelism(),
  ownGroups = textOf('/proc/self/cgroup'),
  root = '/sys/fs/cgroup',
): number {
  const granted = [...quotas(ownGroups ?? '', root)]
  return Math.max(1, Math.min(parallelism, ...granted.map(Math.floor)))
}

/** Cores that each control group of this process grants, and each one above it. */
function* quotas(ownGroups: string, root: string): Iterable<number> {
  for (const line of ownGroups.split('\n')) {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? []
    if (path === '') continue
    if (controllers === '') {
      for (const folder of upwards(path)) {
        const [quota, period] = (textOf(join(root, folder, 'cpu.max')) ?? '').trim().split(' ')
        yield* coresOf(quota, period)
      }
    } else if (controllers.split(',').includes('cpu')) {
      for (const folder of upwards(path)) {
        const at = join(root, 'cpu', folder)
        yield* coresOf(textOf(join(at, 'cpu.cfs_quota_us')), textOf(join(at, 'cpu.cfs_period_us')))
      }
    }
  }
}

/** `max` and -1 are no limit. */
function coresOf(quota: string | undefined, period: string | undefined): number[] {
  const [given, of] = [Number(quota), Number(period)]
  return given > 0 && of > 0 ? [given / of] : []
}

function upwards(path: string): string[] {
  return path === '/' ? ['/'] : [path, ...upwards(dirname(path))]
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
