/** Many texts in one piece of memory, which can be handed to another thread without a copy: UTF-8, one after the other. */
export type PackedTexts = {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Text n goes from offsets[n] to offsets[n + 1]. */
  readonly offsets: Float64Array<ArrayBuffer>
}

export function packTexts(texts: readonly string[]): PackedTexts {
  const offsets = new Float64Array(texts.length + 1)
  for (const [index, text] of texts.entries()) {
    offsets[index + 1] = (offsets[index] ?? 0) + Buffer.byteLength(text)
  }
  const bytes = new Uint8Array(offsets[texts.length] ?? 0)
  const written = Buffer.from(bytes.buffer)
  for (const [index, text] of texts.entries()) written.write(text, offsets[index] ?? 0)
  return { bytes, offsets }
}

export function countOf({ offsets }: PackedTexts): number {
  return offsets.length - 1
}

/** Throws for an index that there is not: a bug of ours. */
export function textAt({ bytes, offsets }: PackedTexts, index: number): string {
  const [start, end] = [offsets[index], offsets[index + 1]]
  if (start === undefined || end === undefined) throw new Error(`there is no packed text ${index}`)
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8')
}
