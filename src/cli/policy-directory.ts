import { listPolicyFiles, readFileBounded } from '../adapters/files.js'
import { type LoadedPolicy, type LoadOptions, loadPolicy } from '../policy/load-policy.js'
import type { PolicyFile } from '../policy/read-documents.js'
import type { Problem } from '../schema/problem.js'

const MAX_FILE_BYTES = 16 * 1024 * 1024

/** Reads and compiles a policy directory; what can't be read is a problem beside those of the documents. */
export async function readPolicyDirectory(directory: string, options: LoadOptions): Promise<LoadedPolicy> {
  const listed = await listPolicyFiles(directory)
  if (!listed.ok) return { ok: false, problems: [unreadable(listed.problem)] }
  const files: PolicyFile[] = []
  const problems: Problem[] = []
  for (const file of listed.files) {
    const read = await readFileBounded(file, MAX_FILE_BYTES)
    if (read.ok) files.push({ file, text: read.bytes })
    else problems.push(unreadable(read.problem))
  }
  return problems.length > 0 ? { ok: false, problems } : loadPolicy(files, options)
}

function unreadable(message: string): Problem {
  return { severity: 'error', code: 'unreadable', message, position: undefined }
}
