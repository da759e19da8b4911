import { readFileSync } from 'node:fs'
import { examine, type Examination, type ExamineOptions } from '../../../../src/lifecycle/doctor/examine.js'
import type { Broken } from './broken/broken.js'
import { readEnvoyText, type EnvoyText } from '../../../../src/lifecycle/doctor/read-source.js'

const SHIPPED = new URL('../../../../envoy/', import.meta.url)

export const shipped = (file: string): string => readFileSync(new URL(file, SHIPPED), 'utf8')

export function envoyText(name: string, text: string): EnvoyText {
  const read = readEnvoyText(name, Buffer.from(text))
  if (!read.ok) throw new Error(read.problems.join('\n'))
  return read.read
}

export function examineText(text: string, options: Partial<ExamineOptions> = {}): Examination {
  return examine([envoyText('envoy.yaml', text)], { clusters: [], trustedHops: 0, ...options })
}

/** Replaces the one place that has this text; anything else is a mistake of the test. */
export function changed(text: string, from: string, to: string): string {
  const parts = text.split(from)
  if (parts.length !== 2) throw new Error(`the text occurs ${parts.length - 1} times: ${from}`)
  return parts.join(to)
}

export function brokenText({ file, also, change }: Broken): string {
  const text = also ? changed(shipped(file), ...also) : shipped(file)
  return changed(text, ...change)
}
