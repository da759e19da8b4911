import { createHash } from 'node:crypto'

/** A Lua script and the name that Redis gives it. */
export type Script = { readonly lua: string; readonly sha: string }

function script(lua: string): Script {
  return { lua, sha: createHash('sha1').update(lua).digest('hex') }
}

const CLOCK = `
local function clockMs()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
`

/** What is done with one record. */
const FIELDS = `
local MAX_FIELDS = 96
local MAX_RESERVED = 64
local function roomFor(name)
  local prefix = string.sub(name, 1, 3)
  if #name <= 2 or prefix == 'cs:' or prefix == 'tc:' then return MAX_FIELDS + MAX_RESERVED end
  return MAX_FIELDS
end
local function exact(value)
  local text = string.format('%.15g', value)
  if tonumber(text) ~= value then text = string.format('%.17g', value) end
  return text
end
local function readFields(key)
  local flat = redis.pcall('HGETALL', key)
  if flat.err then
    redis.call('DEL', key)
    flat = {}
  end
  local fields, size = {}, 0
  for i = 1, #flat, 2 do
    fields[flat[i]] = flat[i + 1]
    size = size + 1
  end
  return fields, size
end
local function keepUntil(key, endsAtMs, nowMs)
  local left = redis.call('PTTL', key)
  if left ~= -2 and (left == -1 or endsAtMs - nowMs > left) then
    redis.call('PEXPIREAT', key, string.format('%.0f', endsAtMs))
  end
end
`

/**
 * The epoch of a bucket, made where there is none.
 * KEYS: epoch. ARGV: id, 'lost' or 'new', the asker's time.
 */
export const ENTER_EPOCH = script(`${CLOCK}
local epoch = redis.call('GET', KEYS[1])
if epoch then return epoch end
epoch = ARGV[1] .. '|' .. string.format('%.0f', math.max(clockMs(), tonumber(ARGV[3]))) .. '|' .. ARGV[2]
redis.call('SET', KEYS[1], epoch)
return epoch
`)

/**
 * A record: 'ok', the milliseconds that it has left (below 0: there is none), fields and values.
 * KEYS: epoch, record. ARGV: epoch.
 */
export const READ = script(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'epoch'} end
local answer = {'ok', redis.call('PTTL', KEYS[2])}
local flat = redis.pcall('HGETALL', KEYS[2])
if flat.err then return answer end
for i = 1, #flat do answer[i + 2] = flat[i] end
return answer
`)

/**
 * Applies a batch exactly once, as \`applyOps\` of src/state/record.ts does; what limits the size of single
 * operations was left out before. Texts hold a '|', numbers don't.
 * KEYS: epoch, what this writer wrote last, records. ARGV: epoch, number of the batch, channel, message, then for
 * each record its end, its number of operations, and three for each of those.
 */
export const WRITE = script(`${CLOCK}${FIELDS}
local function timeOf(text)
  return tonumber(string.sub(text, 1, string.find(text, '|', 1, true) - 1)) or 0
end
-- Strings are compared by bytes: the comparison of the language goes by the server's locale.
local function isGreater(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x > y end
  end
  return #a > #b
end
local function isLater(after, before)
  local a, b = timeOf(after), timeOf(before)
  if a == b then return isGreater(after, before) end
  return a > b
end

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'epoch' end
if redis.call('GET', KEYS[2]) == ARGV[2] then
  -- Written again so that WAIT on this connection waits for it.
  redis.call('SET', KEYS[2], ARGV[2], 'PX', 3600000)
  return 'ok'
end
local nowMs = clockMs()
local at = 5
for k = 3, #KEYS do
  local key = KEYS[k]
  local fields, size = readFields(key)
  local set, gone = {}, {}
  local function remove(name)
    if fields[name] == nil then return end
    fields[name] = nil
    set[name] = nil
    gone[name] = true
    size = size - 1
  end
  local function put(name, value)
    if fields[name] == nil then size = size + 1 end
    fields[name] = value
    set[name] = value
    gone[name] = nil
  end
  local endsAtMs = tonumber(ARGV[at])
  local count = tonumber(ARGV[at + 1])
  at = at + 2
  for o = 1, count do
    local kind, name, value = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    at = at + 3
    local before = fields[name]
    if kind == 'drop' then
      remove(name)
    elseif kind == 'prune' then
      local below, names = tonumber(value), {}
      for field in pairs(fields) do
        if string.sub(field, 1, #name) == name then names[#names + 1] = field end
      end
      for _, field in ipairs(names) do
        local digits = string.sub(field, #name + 1)
        if string.find(digits, '^[0-9]+$') and tonumber(digits) < below then remove(field) end
      end
    elseif before ~= nil or size < roomFor(name) then
      local isText = before ~= nil and string.find(before, '|', 1, true)
      if kind == 'latest' then
        if not isText or isLater(value, before) then put(name, value) end
      elseif before == nil or isText then
        put(name, value)
      else
        local was, is = tonumber(before), tonumber(value)
        if kind == 'add' then is = was + is
        elseif kind == 'max' then is = math.max(was, is)
        else is = math.min(was, is) end
        put(name, exact(is))
      end
    end
  end
  local names = {}
  for name in pairs(gone) do names[#names + 1] = name end
  if #names > 0 then redis.call('HDEL', key, unpack(names)) end
  local pairsToSet = {}
  for name, value in pairs(set) do
    pairsToSet[#pairsToSet + 1] = name
    pairsToSet[#pairsToSet + 1] = value
  end
  if #pairsToSet > 0 then redis.call('HSET', key, unpack(pairsToSet)) end
  keepUntil(key, endsAtMs, nowMs)
end
redis.call('PUBLISH', ARGV[3], ARGV[4])
redis.call('SET', KEYS[2], ARGV[2], 'PX', 3600000)
return 'ok'
`)

/**
 * Adds 1 to a counter unless it has reached its limit: the count it came to, or 'exhausted'. 'full': the record takes in no
 * other field; 'ended': the count would be gone at once. A text counts as 0.
 * KEYS: epoch, record. ARGV: epoch, field, limit, end, channel, message.
 */
export const CONSUME = script(`${CLOCK}${FIELDS}
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'epoch' end
local name, limit, endsAtMs, nowMs = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), clockMs()
local fields, size = readFields(KEYS[2])
local before = fields[name]
local used = before and not string.find(before, '|', 1, true) and tonumber(before) or 0
if not (used < limit) then return 'exhausted' end
if before == nil and size >= MAX_FIELDS then return 'full' end
if size == 0 and endsAtMs <= nowMs then return 'ended' end
redis.call('HSET', KEYS[2], name, exact(used + 1))
keepUntil(KEYS[2], endsAtMs, nowMs)
redis.call('PUBLISH', ARGV[5], ARGV[6])
return exact(used + 1)
`)

/** KEYS: documents of a kind. ARGV: name, text. */
export const PUT_DOCUMENT = script(`
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 'ok'
`)

/** 1: it was there. KEYS: documents of a kind. ARGV: name. */
export const REMOVE_DOCUMENT = script(`
return redis.call('HDEL', KEYS[1], ARGV[1])
`)

/**
 * One-time use. Every call compares the server's identity with the one that is noted beside the claims. Where that
 * differs, the server was restarted or another one took over, and claims may be lost: then what was issued up to
 * now may have been used. Without a claim it only does that, and answers the first second that is known of.
 * KEYS: epoch, server and watermark, claim or none. ARGV: epoch, second of issue, end, kept until.
 */
export const CLAIM = script(`${CLOCK}
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'epoch' end
local nowMs = clockMs()
local noted = redis.call('GET', KEYS[2])
local server = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if not noted or string.match(noted, '^(%x+)|') ~= server then
  noted = server .. '|' .. string.format('%.0f', math.ceil(nowMs / 1000))
  redis.call('SET', KEYS[2], noted)
end
local known = string.match(noted, '|(%d+)$')
if not KEYS[3] then return known end
if tonumber(ARGV[3]) <= nowMs - 60000 or redis.call('EXISTS', KEYS[3]) == 1 then return 'replayed' end
if tonumber(ARGV[2]) < tonumber(known) then return 'before-start' end
redis.call('SET', KEYS[3], '', 'PXAT', ARGV[4])
return 'first'
`)

/** Says of an epoch that something was lost before it. KEYS: epoch. ARGV: the epoch as it is, as it is to be. */
export const MARK_EPOCH = script(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'epoch' end
redis.call('SET', KEYS[1], ARGV[2])
return 'ok'
`)
