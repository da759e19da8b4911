import { sendLoad } from './load.js'
import type { MeasuredServer } from './measured-process.js'

/** What calls cost the server for each, and what the client saw. */
export type MeasuredLoad<T> = { readonly cpuUs: number; readonly rssBytes: number; readonly load: T }

/** CPU of the server for each call of a load. Throws when one of its calls was not allowed. */
export async function measureLoad<T extends { readonly allowed: number }>(
  server: MeasuredServer,
  calls: number,
  send: (address: string) => Promise<T>,
): Promise<MeasuredLoad<T>> {
  const before = await server.usage()
  const load = await send(server.address)
  const after = await server.usage()
  if (load.allowed !== calls) throw new Error(`${calls - load.allowed} of ${calls} calls were not allowed`)
  return { cpuUs: (after.cpuUs - before.cpuUs) / calls, load, rssBytes: after.rssBytes }
}

const COMPILING = 15_000

/** Calls until the compilers of a process that has just started are done. */
export async function warmUp(server: MeasuredServer, message: Buffer): Promise<void> {
  await sendLoad(server.address, COMPILING, 32, () => message)
}
