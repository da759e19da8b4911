#!/usr/bin/env node
import { processIo } from './io.js'
import { run } from './program.js'

const io = processIo()

/** A reader such as `head` may go before everything is printed, which is no failure of ours. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') return
  io.stderr(`error: standard output: ${error.message}\n`)
  io.exitCode = 2
})

/** Whoever read the log is gone; authorization goes on without. */
process.stderr.on('error', () => undefined)

await run(process.argv.slice(2), io)
process.exitCode = io.exitCode
