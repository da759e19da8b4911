import { parentPort, workerData } from 'node:worker_threads'
import { listPolicyFiles } from '../adapters/files.js'
import { loadPolicy } from '../policy/load-policy.js'
import { memoryOf, packPolicy } from '../policy/packed-policy.js'
import { readPolicyFiles, unreadable } from './policy-files.js'
import type { PolicyAnswer, PolicyQuestion } from './policy-thread.js'

/** The thread of `readPolicyInThread`. */
const question: PolicyQuestion = workerData
const answer = await answerTo(question)
parentPort?.postMessage(answer, answer.ok ? memoryOf(answer.packed) : [])

async function answerTo(options: PolicyQuestion): Promise<PolicyAnswer> {
  const listed = await listPolicyFiles(options.directory)
  if (!listed.ok) return unreadable([listed.problem])
  const read = await readPolicyFiles(listed.files)
  if (!read.ok) return read
  const loaded = loadPolicy(read.files, options)
  return loaded.ok
    ? { ok: true, packed: packPolicy(loaded, options) }
    : { ok: false, problems: loaded.problems }
}
