import type { Pointer, Problem } from '../schema/problem.js'
import { sortProblems } from '../schema/problem.js'
import { matchesShape, shapeFindings } from '../schema/shape.js'
import type { SourcedDocument } from '../schema/strict-yaml.js'
import { parseYamlDocuments } from '../schema/strict-yaml.js'
import { crossCheck } from './checks.js'
import type { CheckFinding } from './checks.js'
import { toConfig } from './config.js'
import type { Config } from './config.js'
import { copy, fillDefaults, fillDependentDefaults } from './defaults.js'
import { applyOverrides, environmentOverrides, flagOverrides } from './overrides.js'
import type { Origin } from './overrides.js'
import { EffectiveConfigurationSchema, WrittenConfigurationSchema } from './schema.js'
import type { EffectiveConfiguration } from './schema.js'

export type ConfigurationSource = {
  /** Path of the file, for positions and for what relative paths start at. */
  readonly file: string
  readonly text: string | Uint8Array
  readonly env: Readonly<Record<string, string | undefined>>
  /** Options by their way, for example `store.type`. Undefined ones are not set. */
  readonly flags: Readonly<Record<string, unknown>>
}

/** The program's view, and the user's own with every default filled in. */
export type LoadedConfig = {
  readonly config: Config
  readonly effective: EffectiveConfiguration
  /** Where the value at `pointer` came from: `default`, `portcullis.yaml:4`, or the name of a variable or flag. */
  readonly originOf: (pointer: Pointer) => string
}

/**
 * Reads the configuration: flags over environment over file over defaults. Every problem is told at
 * once; those of the file with their position, the others with the name of the variable or flag.
 * Nothing is read from disk, so whether files exist is not known here.
 */
export function loadConfig(source: ConfigurationSource): LoadedConfig | { readonly problems: Problem[] } {
  const { documents, problems } = parseYamlDocuments(source.file, source.text)
  const [document, second] = documents
  if (second)
    problems.push(problemAt('two-documents', 'a configuration is one document', second.positionOf([])))
  const root = copyOfMap(document?.value)
  if (!document || !root) {
    const message = document ? 'the configuration must be a map of fields' : 'the file holds no configuration'
    if (problems.length === 0)
      problems.push(problemAt('no-configuration', message, { file: source.file, line: 1, column: 1 }))
    return { problems: sortProblems(problems) }
  }
  const applied = applyOverrides(root, environmentOverrides(source.env), flagOverrides(source.flags))
  for (const { code, message } of applied.problems) problems.push(problemAt(code, message, undefined))

  const originOf = (pointer: Pointer): string | undefined => nearestOrigin(applied.origins, pointer)
  const tell = ({ pointer, what, code, message }: CheckFinding): void => {
    const origin = originOf(pointer)
    if (origin !== undefined) problems.push(problemAt(code, `${origin}: ${message}`, undefined))
    else if (!document.isReported(pointer))
      problems.push(problemAt(code, message, document.positionOf(pointer, what)))
  }
  const effective = complete(root, tell)
  if (problems.length > 0 || !effective) return { problems: sortProblems(problems) }
  return {
    config: toConfig(effective, source.file),
    effective,
    originOf: (pointer) => originOf(pointer) ?? placeInFile(document, pointer),
  }
}

/** Checks what was written, fills in defaults and checks the whole. Undefined when too much is wrong to go on. */
function complete(root: unknown, tell: (finding: CheckFinding) => void): EffectiveConfiguration | undefined {
  const findings = shapeFindings(WrittenConfigurationSchema, root)
  for (const finding of findings) {
    tell(finding)
    if (finding.code !== 'missing-field') remove(root, finding.pointer)
  }
  const effective = fillDefaults(EffectiveConfigurationSchema, root)
  const removed = [...findings.map(({ pointer }) => pointer), ...standIn(effective)]
  if (!matchesShape(EffectiveConfigurationSchema, effective)) return undefined
  fillDependentDefaults(effective)
  for (const finding of crossCheck(effective)) {
    const judgesRemoved = removed.some(
      (pointer) => isWithin(pointer, finding.pointer) || isWithin(finding.pointer, pointer),
    )
    if (!judgesRemoved) tell(finding)
  }
  return effective
}

/** Takes the place of what every configuration must say, so that the rest can be checked without it. */
const STAND_INS: Readonly<Record<string, unknown>> = {
  apiVersion: 'portcullis.dev/v1beta1',
  kind: 'Configuration',
  listeners: [
    {
      name: 'none',
      address: '127.0.0.1:0',
      role: 'Sidecar',
      peerIdentity: 'None',
      principalTrustDomains: [],
      trustedProxies: [],
      trustedHops: 0,
      mtls: 'Strict',
      checkServer: 'Http2',
    },
  ],
}

/** Puts defaults and stand-ins where a section is still not right, and says where. Such a configuration has problems already. */
function standIn(effective: unknown): Pointer[] {
  if (typeof effective !== 'object' || effective === null) return []
  return Object.entries(EffectiveConfigurationSchema.properties).flatMap(([name, schema]) => {
    if (!Object.hasOwn(effective, name) || !matchesShape(schema, Reflect.get(effective, name))) {
      Reflect.set(effective, name, fillDefaults(schema, copy(schema['default'] ?? STAND_INS[name])))
      return [[name]]
    }
    return []
  })
}

function copyOfMap(value: unknown): Record<string, unknown> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const root: Record<string, unknown> = Object.create(null)
  for (const [name, inner] of Object.entries(value)) root[name] = copy(inner)
  return root
}

function isWithin(pointer: Pointer, outer: Pointer): boolean {
  return outer.every((step, index) => step === pointer[index])
}

/** Takes a refused field out, so that the rest can be looked at. Elements of lists stay, for the others keep their index. */
function remove(root: unknown, pointer: Pointer): void {
  let parent = root
  for (const step of pointer.slice(0, -1)) {
    parent = typeof parent === 'object' && parent !== null ? Reflect.get(parent, step) : undefined
  }
  const last = pointer.at(-1)
  if (typeof parent === 'object' && parent !== null && typeof last === 'string')
    Reflect.deleteProperty(parent, last)
}

function nearestOrigin(origins: readonly Origin[], pointer: Pointer): string | undefined {
  let nearest: Origin | undefined
  for (const origin of origins) {
    if (isWithin(pointer, origin.pointer) && origin.pointer.length >= (nearest?.pointer.length ?? 0))
      nearest = origin
  }
  return nearest?.name
}

function placeInFile(document: SourcedDocument, pointer: Pointer): string {
  let value = document.value
  for (const step of pointer) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return 'default'
    value = Reflect.get(value, step)
  }
  const { file, line, column } = document.positionOf(pointer)
  return `${file}:${line}:${column}`
}

function problemAt(code: string, message: string, position: Problem['position']): Problem {
  return { severity: 'error', code, message, position }
}
