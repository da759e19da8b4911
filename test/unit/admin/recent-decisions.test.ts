import { expect, test } from '@jest/globals'
import { RecentDecisions } from '../../../src/admin/recent-decisions.js'

test.each([
  { noted: [], newest: [] },
  { noted: ['1', '2'], newest: ['2', '1'] },
  { noted: ['1', '2', '3'], newest: ['3', '2', '1'] },
  { noted: ['1', '2', '3', '4'], newest: ['4', '3', '2'] },
  { noted: ['1', '2', '3', '4', '5', '6', '7'], newest: ['7', '6', '5'] },
])('of $noted the last three: $newest', ({ noted, newest }) => {
  const decisions = new RecentDecisions(3)
  for (const line of noted) decisions.note(line)
  expect([...decisions.newest()]).toEqual(newest)
})

test('tells those who follow, until they leave', () => {
  const decisions = new RecentDecisions(3)
  const heard: string[] = []
  const leave = decisions.follow((line) => heard.push(line))
  decisions.note('1')
  leave()
  decisions.note('2')
  expect(heard).toEqual(['1'])
})

test('bytes are bounded too: what was written over is not told, whatever its length', () => {
  const decisions = new RecentDecisions(1000, 1000)
  const noted: string[] = []
  for (let n = 0; n < 5000; n++) {
    const line = JSON.stringify({ n, name: 'ü€😀'.repeat(n % 13) })
    decisions.note(line)
    noted.unshift(line)
    const newest = [...decisions.newest()]
    expect(newest).toEqual(noted.slice(0, newest.length))
    expect(newest.length).toBeGreaterThan(0)
    noted.length = Math.min(noted.length, 100)
  }
})

test('one that is larger than all there is, is told and not kept', () => {
  const decisions = new RecentDecisions(3, 300)
  const heard: string[] = []
  decisions.follow((line) => heard.push(line))
  decisions.note('1')
  decisions.note('x'.repeat(101))
  expect([...decisions.newest()]).toEqual(['1'])
  expect(heard).toHaveLength(2)
})
