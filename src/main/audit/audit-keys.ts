import { readFileBounded } from '../../adapters/files.js'
import { parseRecipient, parseSigner, type Recipient } from '../../audit/chain/audit-keys.js'
import type { LogSigner } from '../../audit/chain/log-lines.js'
import type { FileSinkConfig } from '../../config/audit.js'
import { type Log, messageOf, StartFailure } from '../log.js'
import { type Watched, watched } from '../watched.js'

const MAX_KEY_BYTES = 64 * 1024

/** The keys of one file sink, as their files are now. */
export type AuditKeys = {
  readonly signer: () => LogSigner | undefined
  /** Of a classification, or that of every other event. */
  readonly recipient: (classification: string | undefined) => Recipient | undefined
  close(): void
}

/**
 * Reads the keys and watches their files. Throws StartFailure with the problems of all; later, a file that can't be
 * read changes nothing and is logged.
 */
export async function openAuditKeys(
  { signingKeyFile, recipients }: Pick<FileSinkConfig, 'signingKeyFile' | 'recipients'>,
  sink: string,
  log: Log,
): Promise<AuditKeys> {
  let signer: LogSigner | undefined
  const byClassification = new Map<string, Recipient>()
  const files: Watched[] = []
  const problems: string[] = []
  const close = (): void => {
    for (const file of files) file.close()
  }

  async function open(path: string, option: string, take: (pem: string) => string | undefined) {
    let isOpen = false
    const read = async (): Promise<void> => {
      const content = await readFileBounded(path, MAX_KEY_BYTES)
      const parsed = content.ok ? take(content.bytes.toString()) : content.problem
      if (parsed === undefined) return
      const problem = content.ok ? `${path}: ${parsed}` : parsed
      if (!isOpen) throw new Error(problem)
      log('error', 'audit key refused, the old one stays', { sink, option, problem })
    }
    try {
      files.push(await watched([path], read, `${sink}: ${option}`, log))
      isOpen = true
    } catch (error) {
      problems.push(`${sink}: ${option}: ${messageOf(error)}`)
    }
  }

  if (signingKeyFile !== undefined) {
    await open(signingKeyFile, 'signingKeyFile', (pem) => {
      const parsed = parseSigner(pem)
      if (!parsed.ok) return parsed.problem
      if (signer && signer.keyId !== parsed.signer.keyId) {
        log('info', 'audit signing key replaced', { sink, keyId: parsed.signer.keyId })
      }
      signer = parsed.signer
      return undefined
    })
  }
  for (const [name, path] of recipients) {
    await open(path, `recipients.${name}`, (pem) => {
      const parsed = parseRecipient(pem)
      if (!parsed.ok) return parsed.problem
      const before = byClassification.get(name)
      if (before && before.keyId !== parsed.recipient.keyId) {
        log('info', 'audit recipient replaced', { sink, name, keyId: parsed.recipient.keyId })
      }
      byClassification.set(name, parsed.recipient)
      return undefined
    })
  }
  if (problems.length > 0) {
    close()
    throw new StartFailure(problems)
  }
  return {
    signer: () => signer,
    recipient: (classification) =>
      byClassification.get(classification ?? 'default') ?? byClassification.get('default'),
    close,
  }
}
