/** The look of the page: light or dark as the reader's system is. */
export const PAGE_STYLE = `
:root{--back:#f6f7f9;--panel:#fff;--ink:#1b1f27;--faint:#646c7a;--line:#dde1e8;--accent:#2456c8;--open:#2456c8;--conditional:#c77700;--band:#eceff4;--cross:#e3eafb;--grid:#edf0f4}
@media(prefers-color-scheme:dark){:root{--back:#12151b;--panel:#1a1e26;--ink:#e6e9ef;--faint:#98a1b1;--line:#2c323d;--accent:#86aaff;--open:#7aa2ff;--conditional:#f0a840;--band:#222834;--cross:#26314a;--grid:#232934}}
*{box-sizing:border-box}
html,body{height:100%}
body{margin:0;display:flex;flex-direction:column;background:var(--back);color:var(--ink);font:14px/1.45 system-ui,sans-serif}
header{display:flex;align-items:baseline;gap:1rem;padding:.8rem 1.2rem;border-bottom:1px solid var(--line);background:var(--panel)}
h1{margin:0;font-size:1.1rem}
header p{margin:0;color:var(--faint)}
main{flex:1;min-height:0;display:grid;grid-template-columns:15rem minmax(0,1fr) 21rem}
nav,aside{background:var(--panel);overflow:auto;padding:.8rem}
#search{position:sticky;top:0}
nav{border-right:1px solid var(--line)}
aside{border-left:1px solid var(--line);padding:.8rem 1rem}
input{width:100%;padding:.45rem .6rem;border:1px solid var(--line);border-radius:.4rem;background:var(--back);color:inherit;font:inherit}
nav h2{margin:.9rem 0 .2rem;font-size:.75rem;color:var(--faint);font-weight:600}
button{display:flex;justify-content:space-between;gap:.5rem;width:100%;padding:.2rem .45rem;border:0;border-radius:.35rem;background:none;color:inherit;font:inherit;text-align:left;cursor:pointer}
button span:first-child{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
button span+span{color:var(--faint);font-variant-numeric:tabular-nums;white-space:nowrap}
button:hover{background:var(--band)}
button[aria-current=true]{background:var(--cross);font-weight:600}
:focus-visible{outline:2px solid var(--accent);outline-offset:1px}
#map{padding:.8rem 1rem;display:flex;flex-direction:column;min-width:0;min-height:0}
.scroll{overflow:auto;flex:0 1 auto;min-height:0;border:1px solid var(--line);border-radius:.5rem;background:var(--panel);align-self:flex-start;max-width:100%}
canvas{display:block;cursor:crosshair}
.legend{display:flex;flex-wrap:wrap;gap:.3rem 1.2rem;margin-bottom:.6rem;font-size:.85rem}
.legend i{display:inline-block;width:.8rem;height:.8rem;border-radius:.2rem;margin-right:.4rem;vertical-align:-.1rem}
.legend .open{background:var(--open)}
.legend .conditional{background:var(--conditional)}
.legend .hint,.note,.empty{color:var(--faint)}
#cell{min-height:1.5em;margin:.5rem 0 0}
aside h2{margin:0;font-size:1rem;overflow-wrap:anywhere}
aside h3{margin:1.1rem 0 .25rem;font-size:.85rem}
aside p{margin:.15rem 0;color:var(--faint);overflow-wrap:anywhere}
aside ul{list-style:none;margin:0;padding:0}
aside li{padding:.12rem 0}
aside small{display:block;padding:0 .45rem .15rem;color:var(--faint);overflow-wrap:anywhere}
.figures{display:grid;grid-template-columns:1fr 1fr;gap:.5rem;margin-top:.7rem}
.figures div{padding:.5rem .6rem;border:1px solid var(--line);border-radius:.5rem}
.figures b{display:block;font-size:1.3rem;line-height:1.2}
.figures span{color:var(--faint);font-size:.8rem}
@media(max-width:1000px){main{display:block;overflow:auto}nav,aside{border:0;border-bottom:1px solid var(--line);max-height:18rem}aside{max-height:none}}
`
