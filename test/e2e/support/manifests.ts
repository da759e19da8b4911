import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Static, TSchema } from '@sinclair/typebox'
import { parseAllDocuments } from 'yaml'
import { REPOSITORY } from '../../../demo/lay.js'
import { matchesShape, shapeFindings } from '../../../src/schema/shape.js'

/** The documents of a file of k8s/. Throws when it is no YAML. */
export function documentsOf(file: string): readonly unknown[] {
  const documents = parseAllDocuments(readFileSync(join(REPOSITORY, 'k8s', file), 'utf8'))
  if (!Array.isArray(documents)) return []
  return documents.map((document) => {
    if (document.errors[0]) throw document.errors[0]
    return document.toJS()
  })
}

/**
 * The value as the shape has it. Throws for what is missing and for every field that the shape doesn't name: nothing
 * that a manifest says may be left out of what is derived from it.
 */
export function fitting<Schema extends TSchema>(schema: Schema, value: unknown): Static<Schema> {
  if (matchesShape(schema, value)) return value
  const findings = shapeFindings(schema, value)
  throw new Error(findings.map(({ message, pointer }) => `${pointer.join('.')}: ${message}`).join('\n'))
}

/** The one document of that kind, and of that name where there are several. */
export function theOne<Schema extends TSchema>(
  documents: readonly unknown[],
  kind: string,
  schema: Schema,
  name?: string,
): Static<Schema> {
  const found = documents.filter((document) => {
    const { kind: is, metadata } = fittingHead(document)
    return is === kind && (name === undefined || metadata?.name === name)
  })
  if (found.length !== 1) throw new Error(`${found.length} documents of kind ${kind} ${name ?? ''}`)
  return fitting(schema, found[0])
}

function fittingHead(document: unknown): { kind?: unknown; metadata?: { name?: unknown } } {
  return typeof document === 'object' && document !== null ? document : {}
}
