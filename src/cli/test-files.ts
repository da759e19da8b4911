import { stat } from 'node:fs/promises'
import { listPolicyFiles, readFileBounded } from '../adapters/files.js'
import type { PolicyFile } from '../policy/read-documents.js'

const MAX_FILE_BYTES = 16 * 1024 * 1024

export type CaseFiles =
  | { readonly ok: true; readonly files: readonly PolicyFile[] }
  | { readonly ok: false; readonly problems: readonly string[] }

/** The YAML files at and below paths, each once; or everything that keeps them from being read. */
export async function readCaseFiles(paths: readonly string[]): Promise<CaseFiles> {
  const files = new Map<string, PolicyFile>()
  const problems: string[] = []
  for (const path of paths) {
    const found = await stat(path).catch(() => undefined)
    const listed = found?.isDirectory() ? await listPolicyFiles(path) : { ok: true as const, files: [path] }
    if (!listed.ok) {
      problems.push(listed.problem)
      continue
    }
    for (const file of listed.files) {
      if (files.has(file)) continue
      const read = await readFileBounded(file, MAX_FILE_BYTES)
      if (read.ok) files.set(file, { file, text: read.bytes })
      else problems.push(read.problem)
    }
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, files: [...files.values()] }
}
