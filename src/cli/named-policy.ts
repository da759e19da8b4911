import type { Command } from 'commander'
import type { LoadedPolicy } from '../policy/load-policy.js'
import { candidateConfig, type CandidateOptions, candidatePolicy } from './candidate-policy.js'
import { policyFolder } from './config-file.js'
import type { CliIo } from './io.js'

export type PolicyOptions = CandidateOptions & { readonly policy?: string }

/** The options by which a command that only reads a policy finds it. */
export function addPolicyOptions(command: Command): Command {
  return command
    .option('-c, --config <file>', 'portcullis.yaml, for its policy folder and trust domains')
    .option('--policy <dir>', 'policy folder; default: that of --config, else ./policy')
    .option('--trust-domain <name>', 'the local trust domain; default: that of --config, else cluster.local')
}

/** The policy that the options name; undefined after telling what is wrong. */
export async function loadNamedPolicy(
  options: PolicyOptions,
  io: CliIo,
): Promise<Extract<LoadedPolicy, { ok: true }> | undefined> {
  const config = await candidateConfig(options, io)
  if (config === false) return undefined
  const directory = policyFolder(options.policy, config, io)
  return directory === undefined ? undefined : candidatePolicy(directory, options, config, io)
}
