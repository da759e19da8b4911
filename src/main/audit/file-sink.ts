import { openFileLog } from '../../adapters/audit-file/file-sink.js'
import type { EventSink } from '../../audit/event-sink.js'
import type { FileSinkConfig } from '../../config/audit.js'
import { messageOf, StartFailure } from '../log.js'
import { openAuditKeys } from './audit-keys.js'
import type { SinkSurroundings } from './surroundings.js'

/** Throws StartFailure where its files or keys can't be used. */
export async function openFileSink(
  config: FileSinkConfig,
  { name, render, classification, log, nowMs }: SinkSurroundings,
): Promise<EventSink> {
  const keys = await openAuditKeys(config, name, log)
  const ruleOf = (of: string | undefined) => (of === undefined ? undefined : classification(of))
  try {
    const sink = await openFileLog({
      name,
      render,
      file: config.file,
      maxBytes: config.maxBytes,
      maxAgeMs: config.maxAgeMs,
      fsync: config.fsync,
      flushIntervalMs: config.flushIntervalMs,
      checkpointIntervalMs: config.checkpointIntervalMs,
      bufferEvents: config.buffer,
      signer: keys.signer,
      recipient: keys.recipient,
      keyRotationMs: (of) => Math.min(ruleOf(of)?.keyRotationMs ?? Infinity, config.keyRotationMs),
      // Files of a classification that the policy no longer has are kept: nobody says for how long.
      retentionMs: (of) => (of === undefined ? config.retentionMs : ruleOf(of)?.retentionMs),
      nowMs,
      warn: (problem) => log('error', 'audit log is not as it was left', { sink: name, problem }),
      onProblem: (problem) => {
        if (problem === undefined) log('info', 'audit log is written again', { sink: name })
        else log('error', 'audit log can not be written', { sink: name, problem })
      },
    })
    return {
      ...sink,
      drain: async (withinMs) => {
        await sink.drain(withinMs)
        keys.close()
      },
    }
  } catch (error) {
    keys.close()
    throw new StartFailure([`${name}: ${config.file}: ${messageOf(error)}`])
  }
}
