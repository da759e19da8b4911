import { ATTACKS, type Suffered, type Target } from './attacks.js'

/** What the attacking process is told to do. */
export type AttackOrder = { readonly name: string; readonly target: Target; readonly seconds: number }

process.on('message', (message) => {
  const { name, target, seconds } = message as AttackOrder
  const attack = ATTACKS.find((each) => each.name === name)
  if (!attack) throw new Error(`there is no attack named ${name}`)
  void attack.run(target, seconds).then((suffered) => process.send?.(suffered satisfies Suffered))
})
process.on('disconnect', () => process.exit(0))
process.send?.('ready')
