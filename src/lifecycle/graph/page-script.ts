/** What the page does, as a browser runs it. Names only ever become text nodes or text on the canvas. */
export const PAGE_SCRIPT = String.raw`
'use strict'
const graph = JSON.parse(document.getElementById('graph').textContent)
const services = graph.services
const count = services.length
const outOf = services.map(() => [])
const into = services.map(() => [])
const cells = new Map()
let most = 1
for (const call of graph.calls) {
  outOf[call.from].push(call)
  into[call.to].push(call)
  cells.set(call.from * count + call.to, call)
  most = Math.max(most, call.endpoints.length)
}
const conditional = (call) => call.baseline.length === 0 && call.endpoints.every((way) => way.conditional)
const wordsOf = (call) =>
  call.endpoints.map((way) => way.name + (way.conditional ? ' (if more holds)' : ''))
    .concat(call.baseline.map((name) => 'baseline ' + name)).join(', ')

function make(tag, text, parent) {
  const element = document.createElement(tag)
  if (text !== undefined) element.textContent = text
  if (parent) parent.append(element)
  return element
}
function choice(index, note, parent, text) {
  const button = make('button', undefined, parent)
  button.type = 'button'
  make('span', text === undefined ? services[index].id : text, button)
  if (note !== '') make('span', note, button)
  button.title = services[index].id
  button.addEventListener('click', () => choose(index))
  return button
}

const list = document.getElementById('list')
const buttons = []
const groups = []
services.forEach((service, index) => {
  let group = groups[groups.length - 1]
  if (!group || group.namespace !== service.namespace) {
    group = { namespace: service.namespace, box: make('div', undefined, list), first: index, last: index }
    make('h2', service.namespace, group.box)
    groups.push(group)
  }
  group.last = index
  const note = '←' + into[index].length + ' →' + outOf[index].length
  buttons.push(choice(index, note, group.box, service.name))
})
const search = document.getElementById('search')
search.addEventListener('input', () => {
  const wanted = search.value.trim().toLowerCase()
  services.forEach((service, index) => { buttons[index].hidden = !service.id.toLowerCase().includes(wanted); buttons[index].style.display = buttons[index].hidden ? 'none' : '' })
  for (const group of groups) {
    let shown = false
    for (let index = group.first; index <= group.last; index++) shown = shown || !buttons[index].hidden
    group.box.hidden = !shown
  }
})
search.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter') return
  const first = buttons.findIndex((button) => !button.hidden)
  if (first >= 0) choose(first)
})

function reach(start, next) {
  const from = new Map([[start, -1]])
  const queue = [start]
  for (const at of queue) for (const found of next(at)) {
    if (from.has(found)) continue
    from.set(found, at)
    queue.push(found)
  }
  return queue.slice(1).map((index) => {
    const path = [index]
    for (let at = from.get(index); at !== -1; at = from.get(at)) path.push(at)
    return { index, path }
  })
}

let chosen = -1
const details = document.getElementById('details')
function showCalls(title, calls, side) {
  make('h3', title + ' (' + calls.length + ')', details)
  if (calls.length === 0) make('p', 'nobody', details).className = 'empty'
  const items = make('ul', undefined, details)
  for (const call of calls) {
    const item = make('li', undefined, items)
    choice(call[side], '', item)
    make('small', wordsOf(call), item)
  }
}
function showReach(title, reached, forwards) {
  const far = reached.filter((one) => one.path.length > 2)
  if (far.length === 0) return
  make('h3', title + ' (' + far.length + ')', details)
  const items = make('ul', undefined, details)
  for (const one of far) {
    const item = make('li', undefined, items)
    choice(one.index, one.path.length - 1 + ' calls', item)
    const path = forwards ? one.path.slice().reverse() : one.path
    make('small', path.map((at) => services[at].name).join(' → '), item)
  }
}
function choose(index) {
  chosen = index
  buttons.forEach((button, at) => button.setAttribute('aria-current', String(at === index)))
  buttons[index].scrollIntoView({ block: 'nearest' })
  const service = services[index]
  details.replaceChildren()
  details.scrollTop = 0
  make('h2', service.id, details)
  make('p', 'mode ' + service.mode + ', ' + (service.endpoints === 1 ? '1 endpoint' : service.endpoints + ' endpoints'), details)
  make('p', service.source, details)
  const inward = reach(index, (at) => into[at].map((call) => call.from))
  const outward = reach(index, (at) => outOf[at].map((call) => call.to))
  const figures = make('div', undefined, details)
  figures.className = 'figures'
  for (const [number, words] of [[inward.length, 'can reach it'], [outward.length, 'it can reach']]) {
    const box = make('div', undefined, figures)
    make('b', String(number), box)
    make('span', words, box)
  }
  showCalls('Called by', into[index], 'from')
  showCalls('Calls', outOf[index], 'to')
  showReach('Reached by, further', inward, false)
  showReach('Reaches, further', outward, true)
  draw()
}

const canvas = document.getElementById('grid')
const pen = canvas.getContext('2d')
const map = document.getElementById('map')
const room = Math.min(map.clientWidth - 120, map.clientHeight - 190)
const cellPx = Math.max(4, Math.min(28, Math.floor(room / Math.max(1, count))))
const named = cellPx >= 11
const font = (named ? Math.min(12, cellPx - 1) : 11) + 'px system-ui, sans-serif'
pen.font = font
const widest = Math.max(0, ...(named ? services.map((one) => pen.measureText(one.name).width) : groups.map((one) => pen.measureText(one.namespace).width)))
const labels = Math.min(190, Math.ceil(widest) + 14)
const bands = named && groups.length > 1 ? 18 : 0
const start = labels + bands
const end = 4
const size = { width: start + count * cellPx + end, height: start + count * cellPx + 4 }
let cursor = { row: 0, column: 0, on: false }

function draw() {
  const colours = getComputedStyle(document.documentElement)
  const colour = (name) => colours.getPropertyValue(name).trim()
  const sharp = window.devicePixelRatio || 1
  canvas.width = size.width * sharp
  canvas.height = size.height * sharp
  canvas.style.width = size.width + 'px'
  canvas.style.height = size.height + 'px'
  pen.setTransform(sharp, 0, 0, sharp, 0, 0)
  pen.font = font
  pen.textBaseline = 'middle'
  const span = count * cellPx
  pen.fillStyle = colour('--band')
  for (const group of groups) {
    const from = start + group.first * cellPx
    const length = (group.last - group.first + 1) * cellPx
    pen.fillRect(from, from, length, length)
  }
  if (chosen >= 0) {
    pen.fillStyle = colour('--cross')
    pen.fillRect(start, start + chosen * cellPx, span, cellPx)
    pen.fillRect(start + chosen * cellPx, start, cellPx, span)
  }
  if (named) {
    pen.strokeStyle = colour('--grid')
    pen.lineWidth = 1
    pen.beginPath()
    for (let at = 0; at <= count; at++) {
      const line = start + at * cellPx + 0.5
      pen.moveTo(start, line)
      pen.lineTo(start + span, line)
      pen.moveTo(line, start)
      pen.lineTo(line, start + span)
    }
    pen.stroke()
  }
  const [open, maybe] = [colour('--open'), colour('--conditional')]
  const inset = named ? 2 : 0.25
  for (const call of graph.calls) {
    pen.globalAlpha = 0.45 + 0.55 * Math.min(1, call.endpoints.length / Math.min(4, most))
    pen.fillStyle = conditional(call) ? maybe : open
    pen.fillRect(start + call.to * cellPx + inset, start + call.from * cellPx + inset, cellPx - 2 * inset, cellPx - 2 * inset)
  }
  pen.globalAlpha = 1
  pen.strokeStyle = colour('--line')
  pen.beginPath()
  for (const group of groups) {
    const line = start + group.first * cellPx + 0.5
    pen.moveTo(0, line)
    pen.lineTo(start + span, line)
    pen.moveTo(line, 0)
    pen.lineTo(line, start + span)
  }
  pen.moveTo(start, start + span + 0.5)
  pen.lineTo(start + span, start + span + 0.5)
  pen.stroke()
  if (named) {
    services.forEach((service, index) => {
      pen.fillStyle = colour(index === chosen ? '--accent' : '--ink')
      pen.textAlign = 'right'
      pen.fillText(service.name, start - 6, start + (index + 0.5) * cellPx, labels - 10)
      pen.save()
      pen.translate(start + (index + 0.5) * cellPx, start - 6)
      pen.rotate(-Math.PI / 2)
      pen.textAlign = 'left'
      pen.fillText(service.name, 0, 0, labels - 10)
      pen.restore()
    })
  }
  pen.fillStyle = colour('--faint')
  if (bands || !named) {
    for (const group of groups) {
      const middle = start + ((group.first + group.last + 1) / 2) * cellPx
      const wide = (group.last - group.first + 1) * cellPx - 4
      if (!named) {
        if (wide < 9) continue
        pen.textAlign = 'right'
        pen.fillText(group.namespace, start - 6, middle, labels - 10)
        pen.save()
        pen.translate(middle, start - 6)
        pen.rotate(-Math.PI / 2)
        pen.textAlign = 'left'
        pen.fillText(group.namespace, 0, 0, labels - 10)
        pen.restore()
        continue
      }
      if (wide < 40) continue
      pen.textAlign = 'center'
      pen.fillText(group.namespace, middle, 9, wide)
      pen.save()
      pen.translate(9, middle)
      pen.rotate(-Math.PI / 2)
      pen.fillText(group.namespace, 0, 0, wide)
      pen.restore()
    }
  }
  if (cursor.on) {
    pen.strokeStyle = colour('--accent')
    pen.lineWidth = 2
    pen.strokeRect(start + cursor.column * cellPx, start + cursor.row * cellPx, cellPx, cellPx)
  }
}
const status = document.getElementById('cell')
function point(row, column) {
  if (count === 0) return
  cursor = { row: Math.max(0, Math.min(count - 1, row)), column: Math.max(0, Math.min(count - 1, column)), on: true }
  const call = cells.get(cursor.row * count + cursor.column)
  const pair = services[cursor.row].id + ' → ' + services[cursor.column].id
  status.textContent = pair + ': ' + (call ? wordsOf(call) : 'may not call')
  draw()
}
function placeOf(event) {
  const box = canvas.getBoundingClientRect()
  return [Math.floor((event.clientY - box.top - start) / cellPx), Math.floor((event.clientX - box.left - start) / cellPx)]
}
canvas.addEventListener('mousemove', (event) => {
  const [row, column] = placeOf(event)
  if (row >= 0 && column >= 0 && row < count && column < count) point(row, column)
})
canvas.addEventListener('click', (event) => {
  const [row, column] = placeOf(event)
  if (row >= 0 && row < count) choose(row)
  else if (column >= 0 && column < count) choose(column)
})
canvas.addEventListener('keydown', (event) => {
  const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }
  if (event.key === 'Enter' && count > 0) return choose(cursor.row)
  const move = moves[event.key]
  if (!move) return
  event.preventDefault()
  point(cursor.on ? cursor.row + move[0] : 0, cursor.on ? cursor.column + move[1] : 0)
})
window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw)
if (count > 0) {
  let first = graph.chosen
  if (first === undefined) {
    first = 0
    into.forEach((calls, index) => { if (calls.length > into[first].length) first = index })
  }
  choose(first)
}
draw()
`
