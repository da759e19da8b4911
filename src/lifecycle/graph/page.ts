import { createHash } from 'node:crypto'
import type { CallGraph } from './call-graph.js'
import { escapeMarkup } from './escape-markup.js'
import { PAGE_SCRIPT } from './page-script.js'
import { PAGE_STYLE } from './page-style.js'

/**
 * The graph as one page of HTML that asks nobody for anything: its policy allows its own style and script by hash and
 * no request at all. `chosen` is the service that it shows first.
 */
export function writePage(graph: CallGraph, chosen?: number): string {
  const policy = `default-src 'none'; style-src '${hashOf(PAGE_STYLE)}'; script-src '${hashOf(PAGE_SCRIPT)}'; base-uri 'none'; form-action 'none'`
  const { services, calls, revision, openToAll } = graph
  const summary = `${services.length} services · ${calls.length} calls · policy ${revision.slice(0, 12)}`
  const open =
    openToAll.length === 0
      ? ''
      : `<p class="note">Left out: the baseline lets anyone in by ${escapeMarkup(openToAll.join(', '))}.</p>`
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Who can call whom</title>
<style>${PAGE_STYLE}</style>
</head>
<body>
<header>
<h1>Who can call whom</h1>
<p>${escapeMarkup(summary)}</p>
</header>
<main>
<nav aria-label="Services">
<input id="search" type="search" placeholder="Search services" aria-label="Search services" autocomplete="off">
<div id="list"></div>
</nav>
<section id="map" aria-label="Matrix: callers down, targets across">
<div class="legend"><span><i class="open"></i>may call</span><span><i class="conditional"></i>may call if more holds: a user, a scope, a condition</span><span class="hint">Rows call columns. Stronger: more endpoints. Arrow keys move, Enter chooses.</span></div>
<div class="scroll"><canvas id="grid" tabindex="0" role="application" aria-label="Matrix of calls" aria-describedby="cell"></canvas></div>
<p id="cell" role="status"></p>
${open}
</section>
<aside id="details" aria-live="polite"></aside>
</main>
<noscript><p>This page draws its picture with a script; the same as text: portcullis graph -o table</p></noscript>
<script type="application/json" id="graph">${dataOf(graph, chosen)}</script>
<script>${PAGE_SCRIPT}</script>
</body>
</html>
`
}

/** JSON that can't end the element it stands in. */
function dataOf(graph: CallGraph, chosen: number | undefined): string {
  return JSON.stringify({ ...graph, chosen }).replaceAll('<', String.raw`\u003c`)
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`
}
