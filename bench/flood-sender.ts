import { badMessages, type FloodSeed, goodMessage } from './flood-messages.js'
import { sendSteadily } from './steady-load.js'

/** What the flooding process is told to do, once it said that it is there. */
export type FloodOrder = {
  readonly address: string
  readonly seed: FloodSeed
  /** Bad calls, all different; else the one good call again and again. */
  readonly spoilt: boolean
  readonly total: number
  readonly perSecond: number
}
export type FloodReport =
  'ready' | { readonly allowed: number; readonly refused: number; readonly failed: number }

/** Messages are made before the clock starts; then a second order sends them. */
process.once('message', (message) => {
  const { address, seed, spoilt, total, perSecond } = message as FloodOrder
  const messages = spoilt ? badMessages(seed, total) : [goodMessage(seed)]
  process.once('message', () => {
    void sendSteadily(address, messages, total, perSecond).then(({ allowed, refused, failed }) => {
      process.send?.({ allowed, refused, failed } satisfies FloodReport, () => process.exit(0))
    })
  })
  process.send?.('ready' satisfies FloodReport)
})
