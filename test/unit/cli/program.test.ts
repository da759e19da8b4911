import { describe, expect, test } from '@jest/globals'
import { runCli } from '../../support/cli.js'

describe('wrong usage', () => {
  test.each([
    { name: 'no command', args: [], says: 'Usage: portcullis' },
    { name: 'an unknown command', args: ['serv'], says: 'Did you mean serve?' },
    {
      name: 'an unknown command with --help',
      args: ['surgeon', '--help'],
      says: "unknown command 'surgeon'",
    },
    { name: 'an unknown option', args: ['check', '--taget', 'shop/a'], says: 'Did you mean --target?' },
    { name: 'an unknown option of the program', args: ['--vesion'], says: 'Did you mean --version?' },
    { name: 'a surplus argument', args: ['serve', 'now'], says: "too many arguments for 'serve'" },
    { name: 'a missing value', args: ['serve', '--config'], says: 'argument missing' },
    {
      name: 'a setting without a value',
      args: ['serve', '--set', 'store.type'],
      says: 'an option and its value',
    },
    {
      name: 'a configuration that is not there',
      args: ['serve', '--config', '/nowhere/p.yaml'],
      says: "/nowhere/p.yaml can't be read",
    },
    {
      name: 'a folder for a configuration',
      args: ['serve', '--config', '/tmp'],
      says: '/tmp is not a regular file',
    },
  ])('$name: exit 2', async ({ args, says }) => {
    const { exitCode, stdout, stderr } = await runCli(args)
    expect(stderr).toContain(says)
    expect([exitCode, stdout]).toEqual([2, ''])
  })
})

test('the version is that of the package', async () => {
  const { exitCode, stdout } = await runCli(['--version'])
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\S*\n$/)
  expect(exitCode).toBe(0)
})

/** Every command with its way, as `--help` of the one above lists it. */
async function commandsBelow(way: readonly string[]): Promise<string[][]> {
  const { stdout } = await runCli([...way, '--help'])
  const listed = /\nCommands:\n([\s\S]*?)(?:\n\n|$)/.exec(stdout)?.[1] ?? ''
  const names = [...listed.matchAll(/^ {2}([a-z][\w-]*)/gm)].map((match) => match[1] ?? '')
  const own = names.filter((name) => name !== 'help').map((name) => way.concat(name))
  const below = await Promise.all(own.map((command) => commandsBelow(command)))
  return [...own, ...below.flat()]
}

test('every command has a help with an example', async () => {
  const commands = await commandsBelow([])
  expect(commands.map((way) => way.join(' '))).toEqual(
    expect.arrayContaining(['serve', 'lint', 'check', 'token mint']),
  )
  for (const way of commands) {
    const { exitCode, stdout } = await runCli([...way, '--help'])
    expect(`${way.join(' ')}: ${stdout}`).toContain(`Example:\n  portcullis ${way[0]}`)
    expect(exitCode).toBe(0)
  }
})
