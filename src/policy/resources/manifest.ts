import { stringify } from 'yaml'
import type { Structural } from './structural.js'

/** A Kubernetes object as YAML. */
export function writeManifest(object: Structural): string {
  return stringify(object, { aliasDuplicateObjects: false, lineWidth: 120 })
}
