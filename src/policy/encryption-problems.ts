import type { Problem } from '../schema/problem.js'
import type { PolicyDocument } from './read-documents.js'

/** A sink that events go to, as far as it matters to what a DataPolicy asks of stored events. */
export type PlannedSink = {
  /** As in logs and metrics, for example `File 1`. */
  readonly name: string
  /** Classifications it can encrypt for, `default` for every other; undefined: it stores nothing itself. */
  readonly recipients: ReadonlySet<string> | undefined
  /** Events that wait for it lie on the disk as they are. */
  readonly spoolsInPlain: boolean
}

/**
 * What a DataPolicy wants encrypted, a sink that stores events must be able to encrypt; one that passes them on leaves
 * that to others, of which is warned. `sinks` undefined: nobody knows which there are.
 */
export function encryptionProblems(
  documents: readonly PolicyDocument[],
  sinks: readonly PlannedSink[] | undefined,
): Problem[] {
  return documents.flatMap((document): Problem[] => {
    if (document.kind !== 'DataPolicy' || !document.spec.audit?.encryption) return []
    const { name } = document.metadata
    const position = document.source.positionOf(['spec', 'audit', 'encryption'])
    if (!sinks) {
      const message = `only a sink of type File with a recipient for \`${name}\` encrypts: what keeps the events of others must`
      return [{ severity: 'warning', code: 'not-encrypted', message, position }]
    }
    const unable = sinks.filter(
      ({ recipients }) => recipients && !recipients.has(name) && !recipients.has('default'),
    )
    const errors = unable.map((sink): Problem => {
      const message = `the audit sink \`${sink.name}\` can't encrypt: it needs \`recipients.${name}\` or \`recipients.default\``
      return { severity: 'error', code: 'not-encrypted', message, position }
    })
    for (const sink of sinks.filter(({ spoolsInPlain }) => spoolsInPlain)) {
      const message = `the audit sink \`${sink.name}\` keeps waiting events on the disk as they are: it needs \`spool.keyFile\``
      errors.push({ severity: 'error', code: 'not-encrypted', message, position })
    }
    const passing = sinks.filter(({ recipients }) => !recipients).map((sink) => `\`${sink.name}\``)
    if (passing.length === 0) return errors
    const message = `${passing.join(', ')} ${passing.length === 1 ? 'passes' : 'pass'} the events on as they are: what keeps them must encrypt them`
    return [...errors, { severity: 'warning', code: 'not-encrypted', message, position }]
  })
}
