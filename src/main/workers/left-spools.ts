import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { AuditConfig } from '../../config/audit.js'
import { ownerOfSpool } from './own-config.js'

/** Spools with events of workers that a run with so many workers has not: nobody sends what lies in them. */
export async function leftSpools({ sinks }: Pick<AuditConfig, 'sinks'>, workers: number): Promise<string[]> {
  const left: string[] = []
  for (const sink of sinks) {
    if (sink.type !== 'Http' || !sink.spool) continue
    const { directory } = sink.spool
    for (const name of (await namesIn(directory)).toSorted()) {
      if ((ownerOfSpool(name) ?? 0) <= workers) continue
      const files = await namesIn(join(directory, name))
      if (files.some((file) => file.endsWith('.batch'))) left.push(join(directory, name))
    }
  }
  return left
}

/** None where there is no such folder. */
async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => [])
}
