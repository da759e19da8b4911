import type { Command } from 'commander'
import * as analyze from './audit-analyze.js'
import * as decrypt from './audit-decrypt.js'
import * as verify from './audit-verify.js'
import type { CliIo } from './io.js'

const COMMANDS = [verify, decrypt, analyze]

/** `portcullis audit`: what is done with audit logs. */
export function register(program: Command, io: CliIo): void {
  const audit = program
    .command('audit')
    .description('audit logs: verify that nothing was changed, open what is encrypted, look for anomalies')
    .addHelpText('after', '\nExample:\n  portcullis audit verify --key keys/audit.pem ./audit')
  for (const command of COMMANDS) command.register(audit, io)
}
