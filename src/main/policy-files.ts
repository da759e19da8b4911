import { readFileBounded } from '../adapters/files.js'
import type { PolicyFile } from '../policy/read-documents.js'
import type { Problem } from '../schema/problem.js'

const MAX_FILE_BYTES = 16 * 1024 * 1024

export type Unreadable = { readonly ok: false; readonly problems: readonly Problem[] }

/** The files' bytes, or why some can't be read. */
export async function readPolicyFiles(
  paths: readonly string[],
): Promise<{ readonly ok: true; readonly files: readonly PolicyFile[] } | Unreadable> {
  const files: PolicyFile[] = []
  const problems: string[] = []
  for (const path of paths) {
    const read = await readFileBounded(path, MAX_FILE_BYTES)
    if (read.ok) files.push({ file: path, text: read.bytes })
    else problems.push(read.problem)
  }
  return problems.length > 0 ? unreadable(problems) : { ok: true, files }
}

export function unreadable(messages: readonly string[]): Unreadable {
  return {
    ok: false,
    problems: messages.map((message) => ({
      severity: 'error',
      code: 'unreadable',
      message,
      position: undefined,
    })),
  }
}
