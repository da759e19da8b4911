import { randomUUID } from 'node:crypto'
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { PolicyText } from '../lifecycle/learn/learn.js'
import type { WrittenFile } from '../lifecycle/learn/write-documents.js'

/**
 * Writes a proposal to a folder: over the files of the policy where it is the policy's own; else together with the files
 * that did not change, so that the folder is a whole policy, and over nothing. Gives what keeps it from writing.
 */
export async function writeFolder(
  files: readonly WrittenFile[],
  known: readonly PolicyText[],
  { output, policy }: { readonly output: string; readonly policy?: string },
): Promise<string | undefined> {
  const inPlace = policy !== undefined && resolve(policy) === resolve(output)
  const changed = new Set(files.map(({ file }) => file))
  const untouched = inPlace ? [] : known.filter(({ file }) => !changed.has(file))
  const all = [...files, ...untouched.map(({ file, text }) => ({ file, text, isNew: false }))]
  for (const { file, isNew } of all) {
    const path = join(output, file)
    const taken = await stat(path).catch(() => undefined)
    if (taken && (isNew || !inPlace)) return `${path} is there already: nothing was written`
  }
  return await writeAll(all.map(({ file, text }) => ({ path: join(output, file), text })))
}

/** Every text is on the disk before the first file gets its name, so that no reader finds a file in part. */
async function writeAll(all: readonly { path: string; text: string }[]): Promise<string | undefined> {
  const drafts: { readonly path: string; readonly draft: string }[] = []
  try {
    for (const { path, text } of all) {
      await mkdir(dirname(path), { recursive: true })
      const draft = join(dirname(path), `.portcullis-${randomUUID()}`)
      drafts.push({ path, draft })
      await writeFile(draft, text, { flag: 'wx' })
    }
    for (const { path, draft } of drafts) await rename(draft, path)
    return undefined
  } catch (error) {
    for (const { draft } of drafts) await rm(draft, { force: true })
    return `the proposal can't be written: ${error instanceof Error ? error.message : String(error)}`
  }
}
