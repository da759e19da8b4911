import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { REPOSITORY } from './lay.js'

/** Path of a real Envoy, installed first where there is none. Throws when none can be had. */
export function envoyBinary(): string {
  const script = join(REPOSITORY, 'scripts/setup-envoy.sh')
  return execFileSync(script, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim()
}
