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
