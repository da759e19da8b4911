import { promisify } from 'node:util'
import { constants, gunzip, gzip } from 'node:zlib'

/** A gzipped JSON array of so many records. */
export type Batch = { readonly body: Buffer; readonly count: number }

const pack = promisify(gzip)
const unpack = promisify(gunzip)
/** Records resemble each other so much that more effort gains little. */
const LEVEL = constants.Z_BEST_SPEED

/** Of records that are JSON already. Compressed off the thread that answers. */
export async function batchOf(records: readonly string[]): Promise<Batch> {
  return { body: await pack(`[${records.join(',')}]`, { level: LEVEL }), count: records.length }
}

/** The same records in two batches, in their order; undefined where there is one record. */
export async function halvesOf({ body }: Batch): Promise<readonly [Batch, Batch] | undefined> {
  const records: unknown = JSON.parse((await unpack(body)).toString('utf8'))
  if (!Array.isArray(records) || records.length < 2) return undefined
  const texts = records.map((record) => JSON.stringify(record))
  const middle = Math.ceil(texts.length / 2)
  return [await batchOf(texts.slice(0, middle)), await batchOf(texts.slice(middle))]
}
