import type { Config } from '../config/config.js'
import type { LoadedPolicy } from '../policy/load-policy.js'
import type { Surroundings } from '../segmentation/directory.js'
import { readConfig, refuse } from './config-file.js'
import type { CliIo } from './io.js'
import { readPolicyDirectory } from './policy-directory.js'

/** What surrounds a policy directory that is looked at and not served. */
export type CandidateOptions = { readonly config?: string; readonly trustDomain?: string }

/** The configuration where one is named; `false` after telling what is wrong with it. */
export async function candidateConfig(
  { config }: CandidateOptions,
  io: CliIo,
): Promise<Config | undefined | false> {
  if (config === undefined) return undefined
  return (await readConfig({ config }, io))?.config ?? false
}

/** What a candidate is compiled against. */
export function surroundingsOf(options: CandidateOptions, config: Config | undefined): Surroundings {
  return {
    localTrustDomain: options.trustDomain ?? config?.trustDomain ?? 'cluster.local',
    trustDomains: [...(config?.trustDomains.keys() ?? [])],
    hasPlaces: config ? config.geo !== undefined : undefined,
    hasDevices: config?.deviceInventory.enabled,
  }
}

/** A policy that loads; undefined after telling every problem, with exit code 2. */
export async function candidatePolicy(
  directory: string,
  options: CandidateOptions,
  config: Config | undefined,
  io: CliIo,
): Promise<Extract<LoadedPolicy, { ok: true }> | undefined> {
  const loaded = await readPolicyDirectory(directory, surroundingsOf(options, config))
  if (loaded.ok) return loaded
  refuse(loaded.problems, io)
  return undefined
}
